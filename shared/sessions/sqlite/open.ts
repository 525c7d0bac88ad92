import { Counter } from 'prom-client'
import { dirname } from 'node:path'
import { SluiceError, toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import { gaugeOf, type Metrics } from '../../process/metrics.ts'
import { oncePer, TELL_EVERY_MS } from '../../process/once-per.ts'
import { ThreadClient, toError } from '../../process/thread-client.ts'
import { makeFolder, PRIVATE } from '../../storage/folders.ts'
import { ANY_ROOM, noticing, type Room } from '../../storage/room.ts'
import { MAX_PER_SESSION, MAX_RETAINED, MAX_SHARED, MAX_WIDE_SESSIONS } from '../bounds.ts'
import type { LocalSessionStore } from '../port.ts'
import type { Bounds, Calls, Figures, Opened, SessionEvent, ThreadOptions } from './messages.ts'
import { SqliteSessions, type Ask } from './sqlite-sessions.ts'

export interface SqliteSessionsOptions {
  /** Made, with its folder, when it does not exist. */
  readonly file: string
  /** Persistent sessions of one login. */
  readonly maxSessions: number
  readonly logger: Logger
  readonly metrics: Metrics
  /** Told of writes that found none; what sessions store is bounded by itself, and goes on in the reserve. */
  readonly room?: Room
  /** The file cannot be trusted any more, or its thread is gone: the process must end. Called once. */
  readonly onFailed: (error: SluiceError) => void
}

export interface SqliteSessionStore extends LocalSessionStore {
  /** Copies all of it into a file that does not exist yet. Errors: `disk_full`, `data_unwritable`, `closed`. */
  snapshot(file: string): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the sessions of the only node: one SQLite file, in a thread of its own. Errors: `data_locked`, `data_newer`,
 * `data_unwritable`, `disk_full`.
 */
export async function openSqliteSessions(options: SqliteSessionsOptions): Promise<SqliteSessionStore> {
  const { file, maxSessions, logger, metrics, room = ANY_ROOM, onFailed } = options
  const toSessionError = noticing(room, toError)
  const mayTell = oncePer(TELL_EVERY_MS)
  makeFolderOf(file)
  const workerData: ThreadOptions = { file, bounds: boundsOf(maxSessions) }
  const { client, opened } = await ThreadClient.start<Calls, Opened, SessionEvent>({
    file: new URL('./thread.ts', import.meta.url),
    workerData,
    name: 'session store',
    lostCode: 'storage_failed',
    toError: toSessionError,
    onEvent(event) {
      if (event.kind === 'wills') return sessions.publishDue(event.due)
      if (event.kind === 'shared') return sessions.handOut(event.handed)
      const { code, message } = toSessionError(event.failure)
      if (!mayTell(code)) return
      logger.error({ code, detail: message }, 'sessions cannot be stored; nothing of them is acknowledged')
    },
    onLost: onFailed,
  })
  const ask: Ask = (question, what) => client.ask(question, what)
  const damaged = exposeFigures(metrics, () => ask('figures', undefined))
  if (opened.damage !== undefined) {
    damaged.inc()
    logger.error({ code: 'data_corrupt', detail: opened.damage }, 'the file of sessions was damaged')
  }
  // No will is due before it has begun.
  const sessions = new SqliteSessions(ask, logger, (count) => damaged.inc(count))
  return Object.assign(sessions, {
    snapshot: (file: string) => ask('snapshot', file),
    close: () => client.close(),
  })
}

export function boundsOf(maxSessions: number): Bounds {
  const { messages, bytes: messageBytes } = MAX_PER_SESSION
  const [wideSessions, retained, shared] = [MAX_WIDE_SESSIONS, MAX_RETAINED, MAX_SHARED]
  return { sessions: maxSessions, wideSessions, messages, messageBytes, retained, shared }
}

function makeFolderOf(file: string): void {
  try {
    makeFolder(dirname(file), PRIVATE)
  } catch (error) {
    throw new SluiceError('data_unwritable', toSluiceError(error).message, { cause: error })
  }
}

/** Makes the store's metrics, which are asked for when they are scraped; returns what counts damage. */
function exposeFigures(metrics: Metrics, read: () => Promise<Figures>): Counter {
  const registers = [metrics]
  new Counter({
    name: 'sluice_sessions_commits_total',
    help: 'Transactions of the session store, each of them one sync of the disk',
    registers,
    async collect() {
      const { commits } = await read()
      this.reset()
      this.inc(commits)
    },
  })
  const gauges: [string, string, (figures: Figures) => number][] = [
    ['sluice_sessions_retained', 'Retained messages', ({ retained }) => retained],
    ['sluice_sessions_retained_bytes', 'Bytes of retained messages', ({ retainedBytes }) => retainedBytes],
    ['sluice_sessions_file_bytes', 'Size of the session store on disk', ({ fileBytes }) => fileBytes],
  ]
  for (const [name, help, value] of gauges) gaugeOf(metrics, name, help, async () => value(await read()))
  const help = 'Damage found in the session store: files, and messages that are not what was stored'
  return new Counter({ name: 'sluice_sessions_damaged_total', help, registers })
}
