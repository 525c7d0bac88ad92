import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { createMetrics } from '../../shared/process/metrics.ts'
import { openSqliteSessions } from '../../shared/sessions/sqlite/open.ts'
import { quiet } from '../broker-harness.ts'
import { tempFolder } from '../helpers.ts'
import { describeSessions } from './sessions-contract.ts'
import { away, KEPT, ME, shownShared, type MakeSessionsHarness, type SessionsHarness } from './sessions-harness.ts'
import { describeSessionLimit } from './sessions-limit-contract.ts'
import { describeRetainedAndWills } from './sessions-retained-contract.ts'
import { describeShared } from './sessions-shared-contract.ts'
import { describeUnreleased } from './sessions-unreleased-contract.ts'

async function open(file: string, maxSessions = 64): Promise<SessionsHarness & { close(): Promise<void> }> {
  const metrics = createMetrics({ defaults: false })
  const failures: unknown[] = []
  const onFailed = (error: unknown): void => void failures.push(error)
  const store = await openSqliteSessions({ file, maxSessions, logger: quiet, metrics, onFailed })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= store.close())
  onTestFinished(close)
  const wills: string[] = []
  const shared: string[] = []
  store.onShared((one, done) => {
    shared.push(shownShared(one))
    done()
  })
  store.begin(async ({ topic, payload }, principal) => {
    wills.push(`${principal} ${topic} ${payload.toString()}`)
    return true
  })
  return {
    store,
    wills,
    shared,
    close,
    async reopen() {
      await close()
      return open(file, maxSessions)
    },
  }
}

const make: MakeSessionsHarness = ({ maxSessions } = {}) => open(join(tempFolder(), 'sessions.db'), maxSessions)

describeSessions('SQLite', make)
describeSessionLimit('SQLite', make)
describeRetainedAndWills('SQLite', make)
describeUnreleased('SQLite', make)
describeShared('SQLite', make)

it('a file of the first format is opened with what it has, and is of the fifth then', async () => {
  const file = join(tempFolder(), 'sessions.db')
  const first = await open(file)
  await away(first.store, ME, 't/a/1/cmd/#')
  const version = (): unknown => {
    const db = new DatabaseSync(file)
    const row = db.prepare('PRAGMA user_version').get()
    db.close()
    return row?.['user_version']
  }
  await first.close()
  expect(version()).toBe(5)
  const db = new DatabaseSync(file)
  db.exec('DROP TABLE in_log; DROP TABLE shared; ALTER TABLE session DROP COLUMN left_number; PRAGMA user_version = 1')
  db.close()
  const second = await open(file)
  const lease = await second.store.claim(ME, KEPT)
  expect([lease.isPresent, (await second.store.subscriptions(ME)).length]).toEqual([true, 1])
  await second.store.writeUnreleased([{ lease, id: 5, digest: 1 }])
  await second.close()
  expect(version()).toBe(5)
  const third = await open(file)
  expect([...(await third.store.claim(ME, KEPT)).left.unreleased]).toEqual([[5, 1]])
})
