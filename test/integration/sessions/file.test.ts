import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openSqliteSessions, type SqliteSessionStore } from '../../../shared/sessions/sqlite/open.ts'
import { WallClock } from '../../../shared/sessions/sqlite/wall-clock.ts'
import { quiet } from '../../broker-harness.ts'
import { APP, away, message } from '../../contract/sessions-harness.ts'
import { tempFolder } from '../../helpers.ts'
import { lasting } from '../../long.ts'
import { openMemorySessions } from '../../memory-sessions.ts'

async function open(file: string): Promise<SqliteSessionStore & { damaged(): Promise<number> }> {
  const metrics = createMetrics({ defaults: false })
  const store = await openSqliteSessions({ file, maxSessions: 64, logger: quiet, metrics, onFailed: () => undefined })
  onTestFinished(() => store.close().catch(() => undefined as void))
  return Object.assign(store, {
    async damaged() {
      const counted = await metrics.getSingleMetric('sluice_sessions_damaged_total')?.get()
      return counted?.values[0]?.value ?? 0
    },
  })
}

async function topicsOf(store: SqliteSessionStore): Promise<string[]> {
  const topics: string[] = []
  for await (const { topic } of store.retained(['#'])) topics.push(topic)
  return topics
}

/** Of so many topics, which fill some pages. */
async function filled(file: string, count: number): Promise<void> {
  const store = await open(file)
  const kept = Array.from({ length: count }, (_, n) => store.keep(message(`x/${n}`, 'v'.repeat(400))))
  await Promise.all(kept)
  await store.close()
}

function flip(file: string, bit: number): void {
  const bytes = readFileSync(file)
  const at = Math.floor(bit / 8)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % 8))
  writeFileSync(file, bytes)
}

it('is one process', async () => {
  const file = join(tempFolder(), 'sessions.db')
  await open(file)
  await expect(open(file)).rejects.toMatchObject({ code: 'data_locked' })
})

it('of a newer Sluice is left alone', async () => {
  const file = join(tempFolder(), 'sessions.db')
  await (await open(file)).close()
  const db = new DatabaseSync(file)
  db.exec('PRAGMA user_version = 999')
  db.close()
  const before = readFileSync(file)
  await expect(open(file)).rejects.toMatchObject({ code: 'data_newer' })
  expect(readFileSync(file).equals(before)).toBe(true)
})

it('that is damaged is kept aside, counted, and what can be read of it is there', async () => {
  const folder = tempFolder()
  const file = join(folder, 'sessions.db')
  await filled(file, 300)
  const bytes = readFileSync(file)
  // One page in the middle of them.
  bytes.fill(0xff, Math.floor(bytes.length / 8192) * 4096, Math.floor(bytes.length / 8192) * 4096 + 4096)
  writeFileSync(file, bytes)
  const store = await open(file)
  const topics = await topicsOf(store)
  expect(topics.length).toBeGreaterThan(0)
  expect(topics.length).toBeLessThan(300)
  expect(await store.damaged()).toBe(1)
  expect(readFileSync(`${file}.damaged`).equals(bytes)).toBe(true)
  expect(await store.keep(message('new', 'x'))).toBe(true)
})

it('that is no database at all is kept aside, and the store begins', async () => {
  const file = join(tempFolder(), 'sessions.db')
  writeFileSync(file, 'not a database'.repeat(1_000))
  const store = await open(file)
  expect(await topicsOf(store)).toEqual([])
  expect(existsSync(`${file}.damaged`)).toBe(true)
})

it.for(['removed', 'empty'])('that is %s begins anew, and that is told', async (how) => {
  const file = join(tempFolder(), 'sessions.db')
  await filled(file, 2)
  if (how === 'removed') rmSync(file)
  else truncateSync(file)
  const store = await open(file)
  expect(await topicsOf(store)).toEqual([])
  expect(await store.damaged()).toBe(1)
  expect(await store.keep(message('new', 'x'))).toBe(true)
  await store.close()
  const again = await open(file)
  expect(await again.damaged()).toBe(0)
  expect(await topicsOf(again)).toEqual(['new'])
})

it('with a bit that flipped in its WAL is kept aside, and what was written before is there', async () => {
  const folder = tempFolder()
  const file = join(folder, 'sessions.db')
  const store = await open(file)
  for (let n = 0; n < 20; n += 1) await store.keep(message(`x/${n}`, 'v'))
  // As a kill leaves it.
  const copy = join(tempFolder(), 'sessions.db')
  for (const suffix of ['', '-wal']) copyFileSync(`${file}${suffix}`, `${copy}${suffix}`)
  const wal = readFileSync(`${copy}-wal`)
  const at = Math.floor(wal.length / 2)
  wal.writeUInt8(wal.readUInt8(at) ^ 1, at)
  writeFileSync(`${copy}-wal`, wal)
  const after = await open(copy)
  expect((await topicsOf(after)).length).toBeLessThan(20)
  expect(await after.damaged()).toBe(1)
  expect(readdirSync(join(copy, '..'))).toEqual(
    expect.arrayContaining(['sessions.db.damaged', 'sessions.db.damaged-wal']),
  )
})

it('with a bit that flipped anywhere is told and kept aside, once', async () => {
  const [live, folder] = [tempFolder(), tempFolder()]
  const store = await open(join(live, 'sessions.db'))
  await away(store, APP, 'queue/#')
  await Promise.all(Array.from({ length: 60 }, (_, n) => store.send(message(`queue/${n}`, 'q'.repeat(200)))))
  await Promise.all(Array.from({ length: 60 }, (_, n) => store.keep(message(`x/${n}`, 'v'.repeat(200)))))
  await store.close()
  const { length } = readFileSync(join(live, 'sessions.db'))
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.nat(length * 8 - 1), async (bit) => {
      const copy = join(folder, String(round++))
      cpSync(live, copy, { recursive: true })
      flip(join(copy, 'sessions.db'), bit)
      const after = await open(join(copy, 'sessions.db'))
      expect(await after.damaged()).toBe(1)
      expect(existsSync(join(copy, 'sessions.db.damaged'))).toBe(true)
      await after.close()
      const again = await open(join(copy, 'sessions.db'))
      expect(await again.damaged()).toBe(0)
      await again.close()
    }),
    // In the name of a column.
    { numRuns: lasting({ gate: 15, long: 500 }), examples: [[20_551]] },
  )
})

it.for(['draft', 'kept'])(
  'is read once more when its process ended behind the %s of what could be read',
  async (when) => {
    const file = join(tempFolder(), 'sessions.db')
    await filled(file, 20)
    const bytes = readFileSync(file)
    flip(file, bytes.length * 4)
    await (await open(file)).close()
    // As it was before the new file took the name.
    renameSync(file, `${file}.salvaged`)
    for (const suffix of ['-wal', '-sums', '-wal-link']) rmSync(`${file}${suffix}`, { force: true })
    if (when === 'draft') for (const suffix of ['', '-sums']) renameSync(`${file}.damaged${suffix}`, `${file}${suffix}`)
    const after = await open(file)
    expect((await topicsOf(after)).length).toBeGreaterThan(0)
    expect(await after.damaged()).toBe(1)
    expect(existsSync(`${file}.salvaged`)).toBe(false)
  },
)

it('a message that is not what was stored is passed over and counted', async () => {
  const file = join(tempFolder(), 'sessions.db')
  await filled(file, 2)
  const db = new DatabaseSync(file)
  db.exec(`UPDATE retained SET message = replace(message, 'vv', 'vw') WHERE topic = 'x/0'`)
  db.close()
  // They would know of the whole page.
  rmSync(`${file}-sums`)
  const store = await open(file)
  expect(await topicsOf(store)).toEqual(['x/1'])
  expect(await store.damaged()).toBe(1)
})

it('a session lasts as long as was said, whatever is done to the clock', async () => {
  const file = join(tempFolder(), 'sessions.db')
  const time = { wall: 1_000_000_000_000, steady: 0 }
  const clock = (): WallClock =>
    new WallClock(
      () => time.wall,
      () => time.steady,
    )
  const pass = (ms: number, step = 0): void => {
    time.wall += ms + step
    time.steady += ms
  }
  const leave = async (id: string, expiry: number): Promise<void> => {
    const store = openMemorySessions(quiet, { file, clock: clock() })
    store.release(await store.claim(id, { clean: false, expiry }))
    // Set while it waits.
    pass(1_000, 400 * 86_400_000)
    await store.claim('a/1/somebody', { clean: true, expiry: 0 })
    await store.close()
  }
  const isPresent = async (id: string): Promise<boolean> => {
    const store = openMemorySessions(quiet, { file, clock: clock() })
    const { isPresent: found } = await store.claim(id, { clean: false, expiry: 100 })
    await store.close()
    return found
  }
  await leave('a/1/forward', 100)
  expect(await isPresent('a/1/forward')).toBe(true)
  await leave('a/1/over', 100)
  pass(200_000)
  expect(await isPresent('a/1/over')).toBe(false)
  await leave('a/1/back', 100)
  // Set back while nobody ran: it has no more left than was said.
  pass(1_000, -800 * 86_400_000)
  expect(await isPresent('a/1/back')).toBe(true)
})

it('a process that is killed ends the connections of its sessions, and its wills are due', async () => {
  const folder = tempFolder()
  const store = await open(join(folder, 'sessions.db'))
  const lease = await store.claim('app//dies', { clean: false, expiry: 100 })
  await store.putWill(lease, message('w/x', 'gone'))
  // It is on the disk with what is waited for.
  await store.keep(message('x', 'y'))
  const copy = join(tempFolder(), 'sessions.db')
  for (const suffix of ['', '-wal']) copyFileSync(`${join(folder, 'sessions.db')}${suffix}`, `${copy}${suffix}`)
  const after = await open(copy)
  const published = new Promise<string>((resolve) => {
    after.begin(async ({ topic, payload }, principal) => {
      resolve(`${principal} ${topic} ${payload.toString()}`)
      return true
    })
  })
  expect(await published).toBe('app w/x gone')
})
