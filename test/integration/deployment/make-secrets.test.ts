import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isApiKey, parseCredentialKey } from '../../../shared/registry/credentials.ts'
import { tempFolder } from '../../helpers.ts'
import { loadCompose, root } from './compose-file.ts'

/** A checkout with nothing but the script. */
function checkout() {
  const folder = tempFolder()
  mkdirSync(join(folder, 'config/compose'), { recursive: true })
  const script = join(folder, 'config/compose/make-secrets.sh')
  copyFileSync(join(root, 'config/compose/make-secrets.sh'), script)
  const path = (name: string) => join(folder, 'secrets', name)
  const read = (name: string) => readFileSync(path(name), 'utf8')
  const env = () => readFileSync(join(folder, '.env'), 'utf8')
  const all = () => Object.fromEntries(readdirSync(join(folder, 'secrets')).map((name) => [name, read(name)]))
  return { folder, script, path, read, env, all, run: (...args: string[]) => execFileSync('sh', [script, ...args]) }
}

describe('config/compose/make-secrets.sh', () => {
  it('makes exactly the files that docker-compose.yml names, for their owner alone', () => {
    const { run, folder, path, all } = checkout()
    run()
    expect(Object.keys(all()).toSorted()).toEqual(Object.keys(loadCompose().secrets).toSorted())
    for (const name of Object.keys(all())) expect(statSync(path(name)).mode & 0o777, name).toBe(0o600)
    expect(statSync(join(folder, 'secrets')).mode & 0o777).toBe(0o700)
  })

  it('makes what the services take', () => {
    const { run, read } = checkout()
    run()
    expect(isApiKey(read('admin-token'))).toBe(true)
    expect(parseCredentialKey(read('credential-key'), 'credential-key')).toHaveLength(32)
    const url = new URL(read('mariadb-url'))
    expect(url.password).toBe(read('mariadb-password'))
    const { MARIADB_USER, MARIADB_DATABASE } = loadCompose().services['mariadb']?.environment ?? {}
    expect([url.username, url.hostname, url.pathname]).toEqual([MARIADB_USER, 'mariadb', `/${MARIADB_DATABASE}`])
  })

  it('makes others each time, all different', () => {
    const [one, other] = [checkout(), checkout()]
    one.run()
    other.run()
    const values = [...Object.values(one.all()), ...Object.values(other.all())]
    expect(new Set(values).size).toBe(values.length)
  })

  it('overwrites nothing, and makes what is missing', () => {
    const { run, all, path, folder, env } = checkout()
    run()
    const before = all()
    writeFileSync(join(folder, '.env'), 'SLUICE_USER=7:7\n')
    rmSync(path('mariadb-url'))
    run('--ha')
    expect(all()).toEqual(before)
    expect(env()).toBe('SLUICE_USER=7:7\n')
  })

  it('runs the containers as whoever owns the secrets, and never as root', () => {
    const { run, env, path } = checkout()
    run()
    const { uid, gid } = statSync(path('admin-token'))
    expect(env()).toContain(`SLUICE_USER=${uid}:${gid}\n`)
    expect(uid).toBeGreaterThan(0)
  })

  it('chooses the profile, of which the log must know', () => {
    const [one, three] = [checkout(), checkout()]
    one.run()
    three.run('--ha')
    expect(one.env()).toMatch(/^COMPOSE_PROFILES=single\nLOG_REPLICATION=1$/m)
    expect(three.env()).toMatch(/^COMPOSE_PROFILES=ha\nLOG_REPLICATION=3$/m)
  })

  it('does nothing when it is asked for something else', () => {
    const { script, folder } = checkout()
    expect(spawnSync('sh', [script, '--help']).status).toBe(2)
    expect(spawnSync('sh', [script, '--ha', 'x']).status).toBe(2)
    expect(existsSync(join(folder, 'secrets'))).toBe(false)
  })

  it('makes nothing that git or the image would take', () => {
    const ignored = spawnSync('git', ['check-ignore', 'secrets/admin-token', '.env'], { cwd: root, encoding: 'utf8' })
    expect(ignored.stdout.trim().split('\n')).toEqual(['secrets/admin-token', '.env'])
    const allowed = readFileSync(join(root, '.dockerignore'), 'utf8').match(/^!.*$/gm)
    expect(allowed?.filter((line) => /secret|env/.test(line))).toEqual([])
  })
})
