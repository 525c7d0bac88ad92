import type { Logger } from '../shared/process/logger.ts'
import type { LocalSessionStore } from '../shared/sessions/port.ts'
import type { Calls, Question, ToThread } from '../shared/sessions/sqlite/messages.ts'
import { boundsOf } from '../shared/sessions/sqlite/open.ts'
import { SessionDatabase } from '../shared/sessions/sqlite/session-database.ts'
import { SessionServer } from '../shared/sessions/sqlite/session-server.ts'
import { SqliteSessions } from '../shared/sessions/sqlite/sqlite-sessions.ts'
import type { WallClock } from '../shared/sessions/sqlite/wall-clock.ts'

export type MemorySessions = LocalSessionStore & { close(): Promise<void> }

/** The file's engine without its thread, and in memory unless a file is named: for tests that open many brokers. */
export function openMemorySessions(
  logger: Logger,
  { maxSessions = 64, file = ':memory:', clock }: { maxSessions?: number; file?: string; clock?: WallClock } = {},
): MemorySessions {
  const database = new SessionDatabase({ file, bounds: boundsOf(maxSessions) }, clock)
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const taken = (id: number): PromiseWithResolvers<unknown> | undefined => {
    const asked = waiting.get(id)
    waiting.delete(id)
    return asked
  }
  const server = new SessionServer(database, file, {
    answer: (id, answer) => taken(id)?.resolve(answer),
    fail: (id, error) => taken(id)?.reject(error),
    tell(event) {
      if (event.kind === 'wills') sessions.publishDue(event.due)
      if (event.kind === 'shared') sessions.handOut(event.handed)
    },
  })
  let lastId = 0
  let isClosed = false
  const ask = <Q extends Question>(question: Q, what: Calls[Q]['ask']): Promise<Calls[Q]['answer']> => {
    const asked = Promise.withResolvers<unknown>()
    const id = (lastId += 1)
    waiting.set(id, asked)
    // Closed for good, it answers no more, as a thread that has ended.
    if (isClosed) return asked.promise as Promise<Calls[Q]['answer']>
    server.take({ id, question, ask: what } as ToThread)
    return asked.promise as Promise<Calls[Q]['answer']>
  }
  const sessions = new SqliteSessions(ask, logger, () => undefined)
  return Object.assign(sessions, {
    async close() {
      const closed = ask('close', undefined)
      isClosed = true
      await closed
    },
  })
}
