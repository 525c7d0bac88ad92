import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export const root = join(import.meta.dirname, '../../..')

export interface Mount {
  readonly type: string
  readonly source: string
  readonly target: string
  readonly read_only?: boolean
  readonly volume?: { readonly nocopy?: boolean }
}

/** The part of a service that the rules look at; everything may be missing from a wrong document. */
export interface Service {
  image?: string
  build?: string
  user?: string
  profiles?: string[]
  command?: string[]
  entrypoint?: string[]
  environment?: Record<string, string | number | boolean>
  secrets?: string[]
  networks?: string[] | Record<string, { aliases?: string[] }>
  network_mode?: string
  privileged?: boolean
  ports?: string[]
  volumes?: (Mount | string)[]
  tmpfs?: string[]
  read_only?: boolean
  cap_add?: string[]
  cap_drop?: string[]
  security_opt?: string[]
  restart?: string
  stop_grace_period?: string
  deploy?: { replicas?: string | number; resources?: { limits?: { cpus?: string; memory?: string } } }
  env_file?: { path: string; required?: boolean }[]
  healthcheck?: { test?: string[]; disable?: boolean }
  depends_on?: Record<string, { condition?: string; required?: boolean }>
}

export interface Compose {
  services: Record<string, Service>
  networks: Record<string, { internal?: boolean; ipam?: { config?: { subnet?: string }[] } }>
  volumes: Record<string, unknown>
  secrets: Record<string, { file?: string; environment?: string }>
}

/** What `make-secrets.sh` writes to `.env`. */
export const singleEnv = { SLUICE_USER: '1000:1000', COMPOSE_PROFILES: 'single', LOG_REPLICATION: '1' }
export const haEnv = { SLUICE_USER: '1000:1000', COMPOSE_PROFILES: 'ha', LOG_REPLICATION: '3' }

/** The document as Compose reads it: merged and interpolated. */
export function loadCompose(env: Readonly<Record<string, string>> = singleEnv): Compose {
  const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8')
  return parse(interpolate(text, env), { merge: true }) as Compose
}

/** `${NAME:-default}` and `${NAME:?why}`, which are all that the file has. Comments are not looked at by Compose either. */
function interpolate(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{(\w+):([-?])([^}]*)\}/g, (_all, name: string, kind: string, rest: string) => {
    const value = env[name]
    if (value !== undefined && value !== '') return value
    if (kind === '?') throw new Error(`${name}: ${rest}`)
    return rest
  })
}

/** The services that run in a profile: those of the profile and those of none. */
export function servicesIn(compose: Compose, profile: string): string[] {
  return Object.entries(compose.services)
    .filter(([, { profiles = [] }]) => profiles.length === 0 || profiles.includes(profile))
    .map(([name]) => name)
}

export function networksOf({ networks = [] }: Service): string[] {
  return Array.isArray(networks) ? networks : Object.keys(networks)
}

/** Services that run once and end: others wait for that. */
export function oneShots(compose: Compose): Set<string> {
  const awaited = Object.values(compose.services).flatMap((service) => Object.entries(service.depends_on ?? {}))
  return new Set(awaited.filter(([, it]) => it.condition === 'service_completed_successfully').map(([name]) => name))
}
