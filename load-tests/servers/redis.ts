import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Certificate } from './certificates.ts'
import { freePorts, portAnswers, ServerProcess } from './server-process.ts'
import { findCommand, installPackages } from './tools.ts'

export interface Redis {
  readonly url: string
  readonly process: ServerProcess
  stop(): Promise<void>
}

/** Sessions must never be evicted and survive a restart; the cache may lose anything and stays small. */
export type RedisRole = 'sessions' | 'cache'

const POLICY: Readonly<Record<RedisRole, readonly string[]>> = {
  sessions: ['--maxmemory-policy', 'noeviction', '--appendonly', 'yes'],
  cache: ['--maxmemory-policy', 'allkeys-lru', '--maxmemory', '64mb', '--save', ''],
}

export function installRedis(): Promise<void> {
  return installPackages([
    { command: 'redis-server', package: 'redis-server', why: 'Redis, sessions and cache of the cluster' },
  ])
}

/** Over TLS, and nothing else, with a certificate. */
export async function startRedis(
  folder: string,
  role: RedisRole,
  options: { port?: number; tls?: Certificate } = {},
): Promise<Redis> {
  await installRedis()
  const port = options.port ?? (await freePorts(1))[0] ?? 0
  const home = join(folder, `redis-${role}`)
  mkdirSync(home, { recursive: true })
  const { tls } = options
  const listening =
    tls === undefined ? ['--port', String(port)] : ['--port', '0', '--tls-port', String(port), ...tlsArgs(tls)]
  const args = [...listening, '--bind', '127.0.0.1', '--dir', home, ...POLICY[role]]
  const logFile = join(home, 'server.log')
  const command = findCommand('redis-server') ?? 'redis-server'
  const process = new ServerProcess({ name: `Redis (${role})`, command, args, logFile, probe: portAnswers(port) })
  await process.start()
  const scheme = tls === undefined ? 'redis' : 'rediss'
  return { url: `${scheme}://127.0.0.1:${port}`, process, stop: () => process.stop('SIGKILL') }
}

function tlsArgs({ certificate, key }: Certificate): string[] {
  return [
    '--tls-cert-file',
    certificate,
    '--tls-key-file',
    key,
    '--tls-auth-clients',
    'no',
    '--tls-ca-cert-file',
    certificate,
  ]
}
