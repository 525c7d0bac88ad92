import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { createMetrics } from '../../shared/process/metrics.ts'
import { openSqliteSessions } from '../../shared/sessions/sqlite/open.ts'
import { quiet } from '../broker-harness.ts'
import { tempFolder } from '../helpers.ts'
import { describeSessions } from './sessions-contract.ts'
import type { MakeSessionsHarness, SessionsHarness } from './sessions-harness.ts'
import { describeRetainedAndWills } from './sessions-retained-contract.ts'
import { describeUnreleased } from './sessions-unreleased-contract.ts'

async function open(file: string, maxSessions = 64): Promise<SessionsHarness> {
  const metrics = createMetrics({ defaults: false })
  const failures: unknown[] = []
  const onFailed = (error: unknown): void => void failures.push(error)
  const store = await openSqliteSessions({ file, maxSessions, logger: quiet, metrics, onFailed })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= store.close())
  onTestFinished(close)
  const wills: string[] = []
  store.begin(async ({ topic, payload }, principal) => {
    wills.push(`${principal} ${topic} ${payload.toString()}`)
    return true
  })
  return {
    store,
    wills,
    async reopen() {
      await close()
      return open(file, maxSessions)
    },
  }
}

const make: MakeSessionsHarness = ({ maxSessions } = {}) => open(join(tempFolder(), 'sessions.db'), maxSessions)

describeSessions('SQLite', make)
describeRetainedAndWills('SQLite', make)
describeUnreleased('SQLite', make)
