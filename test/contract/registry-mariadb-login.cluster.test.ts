import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { ingestWorkerProcessSettings, mariadbOptions } from '../../config/cluster.ts'
import { loadConfig } from '../../shared/config.ts'
import type { SluiceError } from '../../shared/errors.ts'
import { tempFolder } from '../helpers.ts'
import { createDevice } from './registry-harness.ts'
import { MariadbOfFile, openAt } from './registry-mariadb-harness.ts'

const mariadb = new MariadbOfFile()

/** A login of its own, whose URL is in a file as a service is given it. */
async function ownLogin(name: string) {
  const root = await mariadb.root()
  await root.query(`create user ${name}@127.0.0.1 identified by 'first'`)
  await root.query(`grant all on \`sluice%\`.* to ${name}@127.0.0.1`)
  const url = new URL(await mariadb.newDatabase())
  url.username = name
  const file = join(tempFolder(), 'mariadb-url')
  const write = (password: string) => {
    url.password = password
    writeFileSync(file, `${url.href}\n`)
  }
  /** The server knows only the new password, and cuts those who came with the old one. */
  const change = async (password: string) => {
    await root.query(`alter user ${name}@127.0.0.1 identified by '${password}'`)
    await root.query(`kill user ${name}@127.0.0.1`)
  }
  write('first')
  const env = { MARIADB_URL_FILE: file, CREDENTIAL_KEY: Buffer.alloc(32, 1).toString('base64url'), INFLUX_TOKEN: 'x' }
  vi.stubEnv('MARIADB_URL_FILE', file)
  onTestFinished(() => void vi.unstubAllEnvs())
  return { write, change, options: mariadbOptions(loadConfig(ingestWorkerProcessSettings, env)) }
}

it('a password that the server no longer takes is read again from its file, and the registry goes on', async () => {
  const { write, change, options } = await ownLogin('rotated')
  const registry = await openAt(options.url, options)
  onTestFinished(() => registry.close())
  await createDevice(registry, 'acme/p1')
  await change('second')
  const refused = () => registry.getDevice('acme', 'p1').then(String, (error: SluiceError) => error.code)
  await vi.waitUntil(async () => (await refused()) === 'registry_refused', { timeout: 30_000, interval: 100 })
  write('second')
  // One call may have to wait for a connection of the old login; the next finds the new one.
  await vi.waitFor(async () => expect((await registry.getDevice('acme', 'p1'))?.device).toBe('p1'), {
    timeout: 30_000,
    interval: 100,
  })
  await createDevice(registry, 'acme/p2')
})

it('a server that refuses the login, or is away, is waited for at the start', async () => {
  const { write, change, options } = await ownLogin('late')
  await change('second')
  const reasons: (string | undefined)[] = []
  const stop = new AbortController()
  const waiting = { signal: stop.signal, onWaiting: (reason?: SluiceError) => void reasons.push(reason?.code) }
  const opening = openAt(options.url, { ...options, ...waiting })
  await vi.waitUntil(() => reasons.includes('registry_refused'), { timeout: 30_000 })
  await mariadb.server.process.stop('SIGKILL')
  await vi.waitUntil(() => reasons.includes('registry_unavailable'), { timeout: 30_000 })
  await mariadb.server.process.start()
  write('second')
  const registry = await opening
  onTestFinished(() => registry.close())
  expect(reasons.at(-1)).toBeUndefined()
  await createDevice(registry, 'acme/p1')
  // Told to stop, it waits no longer.
  const other = openAt('mariadb://u:p@127.0.0.1:1/sluice_x', waiting)
  stop.abort()
  await expect(other).rejects.toThrow(expect.objectContaining({ code: 'closed' }) as Error)
})
