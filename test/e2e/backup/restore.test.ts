import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readFileSync, readdirSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, vi } from 'vitest'
import type { ApiClient } from '../../../shared/api-client.ts'
import { readSlotState } from '../../../shared/stamps/slot.ts'
import { tempFolder } from '../../helpers.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { PATIENCE } from '../../patience.ts'
import type { Server } from '../server.ts'
import { backUp, FIRST_MS, numbersOf, openSite, readingOf, sluice, type Login } from './backup-site.ts'

const root = join(import.meta.dirname, '../../..')

async function send(server: Server, { username, secret }: Login, numbers: readonly number[]): Promise<void> {
  const { client } = await connectJs(server.mqttPort, { username, password: secret, withSecret: false })
  for (const n of numbers) await client.publishAsync(`t/${username}/telemetry`, readingOf(n), { qos: 1 })
  await client.endAsync()
}

const mayConnect = (server: Server, { username, secret }: Login): Promise<boolean> =>
  connectJs(server.mqttPort, { username, password: secret, withSecret: false }).then(
    () => true,
    () => false,
  )

const stored = (api: ApiClient, device: string, numbers: readonly number[]) =>
  vi.waitFor(async () => expect(await numbersOf(api, device)).toEqual(numbers), PATIENCE)

const span = (from: number, to: number) => ({ from: String(FIRST_MS + from), to: String(FIRST_MS + to) })

async function deleteSpan(api: ApiClient, device: string, from: number, to: number): Promise<void> {
  const { job } = await api.post<{ job: { id: number } }>(`/v1/devices/demo/${device}/readings/delete`, span(from, to))
  const state = async () => (await api.get<{ state: string }>(`/v1/jobs/${job.id}`)).state
  await vi.waitFor(async () => expect(await state()).toBe('done'), PATIENCE)
}

const eraOf = (folder: string) => {
  const file = join(folder, 'stamps.json')
  return existsSync(file) ? (readSlotState(readFileSync(file, 'utf8'))?.era ?? 0) : 0
}

describe('a restore onto what was there', () => {
  it('keeps ended what was ended since the backup, deleted what was deleted, and issues no uid twice', async () => {
    const site = await openSite()
    const { server, api } = site
    const logins: Record<string, Login> = {}
    for (const name of ['kept', 'revoked', 'removed', 'rotated']) logins[name] = await site.device(name)
    const login = (name: string): Login => logins[name] ?? { username: '', secret: '' }
    const app = await api.post<Login>('/v1/applications', { name: 'viewer', rules: [] })
    for (const name of Object.keys(logins)) await send(server, login(name), [0, 1, 2, 3, 4, 5])
    await stored(api, 'kept', [0, 1, 2, 3, 4, 5])
    await deleteSpan(api, 'kept', 0, 1)
    const keys = join(tempFolder(), 'keys')
    await sluice({}, 'backup', '--keygen', keys)
    const file = join(tempFolder(), 'backup')
    await backUp(server, file, '--recipient', `${keys}.pub`)

    await deleteSpan(api, 'kept', 1, 3)
    await api.post('/v1/devices/demo/revoked/revoke', {})
    await api.delete('/v1/devices/demo/removed')
    await api.delete('/v1/applications/viewer')
    const fresh = await api.post<Login>('/v1/devices/demo/rotated/rotate', { overlapSeconds: 0 })
    const made = await site.device('made-later')
    await send(server, made, [7])
    await send(server, login('kept'), [6])
    await stored(api, 'made-later', [7])
    await server.kill('SIGKILL')
    const era = eraOf(server.folder)

    const env = { DATA_DIR: server.folder }
    await expect(sluice(env, 'restore', file, '--key', keys)).rejects.toThrow('is not empty')
    const told = await sluice(env, 'restore', file, '--key', keys, '--replace')
    expect(told).toMatchObject({
      taken: {
        removedDevices: [{ tenant: 'demo', device: 'removed' }],
        removedApplications: ['viewer'],
        endedLogins: ['demo/revoked'],
      },
      deletedSpans: 1,
    })
    expect(eraOf(server.folder)).not.toBe(era)
    expect(existsSync(join(String(told['kept']), 'registry.db'))).toBe(true)

    const after = await openSite({ folder: server.folder })
    // The administrator's key is the one that was there.
    expect(after.server.token).toBe(server.token)
    await stored(after.api, 'kept', [3, 4, 5])
    await stored(after.api, 'rotated', [0, 1, 2, 3, 4, 5])
    const connects = (one: Login) => mayConnect(after.server, one)
    expect(await Promise.all([connects(login('kept')), connects(fresh)])).toEqual([true, true])
    const ended = [login('revoked'), login('removed'), login('rotated'), made, app]
    expect(await Promise.all(ended.map(connects))).toEqual([false, false, false, false, false])
    // The name was a uid until the restore, of which nothing here knows.
    for (const name of ['made-later', 'removed', 'quite-new']) {
      const again = await after.device(name)
      const { uid } = await after.api.get<{ uid: string }>(`/v1/devices/demo/${name}`)
      expect(uid).not.toBe(name)
      await send(after.server, again, [9])
      await stored(after.api, name, [9])
    }
    // What was deleted after the backup was in its log, too: it is not stored again, and neither is a message from then.
    await stored(after.api, 'kept', [3, 4, 5])
  })

  it('takes over from a Sluice that ended without closing its registry', async () => {
    const site = await openSite()
    await site.device('revoked')
    const file = join(tempFolder(), 'backup')
    await backUp(site.server, file, '--plain')
    await site.api.post('/v1/devices/demo/revoked/revoke', {})
    await site.server.kill('SIGKILL')
    // What SQLite does when the process ends with the file open: the WAL goes into the database, and is deleted.
    const registry = join(site.server.folder, 'registry.db')
    const db = new DatabaseSync(registry)
    db.exec('PRAGMA user_version')
    db.close()
    expect([existsSync(`${registry}-wal`), existsSync(`${registry}-wal-link`)]).toEqual([false, true])
    const told = await sluice({ DATA_DIR: site.server.folder }, 'restore', file, '--replace')
    expect(told).toMatchObject({ taken: { endedLogins: ['demo/revoked'] } })
  })

  it('takes nothing over from another installation, or from an earlier state', async () => {
    const one = await openSite()
    const early = await one.device('early')
    const [first, second] = [join(tempFolder(), 'first'), join(tempFolder(), 'second')]
    await backUp(one.server, first, '--plain')
    const late = await one.device('late')
    await backUp(one.server, second, '--plain')
    await one.server.kill('SIGTERM')
    const other = await openSite()
    await other.server.kill('SIGTERM')
    expect(await sluice({ DATA_DIR: other.server.folder }, 'restore', second, '--replace')).toMatchObject({
      taken: null,
    })
    expect(await sluice({ DATA_DIR: one.server.folder }, 'restore', first, '--replace')).toMatchObject({
      taken: { endedCredentials: 0 },
    })
    expect(await sluice({ DATA_DIR: one.server.folder }, 'restore', second, '--replace')).toMatchObject({ taken: null })
    const back = await openSite({ folder: one.server.folder })
    expect(await Promise.all([early, late].map((login) => mayConnect(back.server, login)))).toEqual([true, true])
  })
})

it('whose process is killed leaves the old data or the new ones, and a backup that is damaged leaves the old ones', async () => {
  const { server, api, device } = await openSite()
  const login = await device('pump')
  await send(server, login, [1])
  await stored(api, 'pump', [1])
  const file = join(tempFolder(), 'backup')
  await backUp(server, file, '--plain')
  await send(server, login, [2])
  await stored(api, 'pump', [1, 2])
  await server.kill('SIGTERM')
  const bytes = readFileSync(file)
  const damaged = join(tempFolder(), 'damaged')
  bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 4
  writeFileSync(damaged, bytes)
  const failing = sluice({ DATA_DIR: server.folder }, 'restore', damaged, '--replace')
  await expect(failing).rejects.toThrow('is damaged, or was changed')
  expect(readdirSync(server.folder).filter((name) => name.startsWith('restore'))).toEqual([])

  const found: number[][] = []
  // Killed when it begins to write, when all is ready, and when the new files are moved to their places.
  for (const moment of [/^restore\.draft-/, /^restore\.ready$/, /^restore\.moving$/]) {
    const folder = tempFolder()
    cpSync(server.folder, folder, { recursive: true })
    await killedAt(moment, folder, file)
    const after = await openSite({ folder })
    found.push(await numbersOf(after.api, 'pump'))
    await after.server.kill('SIGKILL')
  }
  // The watcher may be a step behind.
  expect(found[0]).toEqual([1, 2])
  expect(found[2]).toEqual([1])
  for (const numbers of found) expect([[1, 2], [1]]).toContainEqual(numbers)
})

async function killedAt(moment: RegExp, folder: string, file: string): Promise<void> {
  const env = { ...process.env, DATA_DIR: folder }
  const child = spawn(join(root, 'sluice'), ['restore', file, '--replace'], { cwd: root, env, stdio: 'ignore' })
  const watcher = watch(folder, (_, name) => {
    if (name !== null && moment.test(name)) child.kill('SIGKILL')
  })
  await once(child, 'exit')
  watcher.close()
}
