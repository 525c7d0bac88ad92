import type { RecordHeaders } from './record.ts'
import type { LogRecord } from './telemetry.ts'

/** Header of a record of a device under watch. */
export const WATCH_HEADER = 'watch'

/** How a message came. */
interface Arrival {
  /** Name of the broker that took it. */
  readonly node: string
  readonly qos: number
  readonly isDup: boolean
}

/** What is in the header. */
export interface Watched extends Arrival {
  /** When it first went to the log, in ms since 1970; undefined where that is not known. */
  readonly appendingMs?: number
}

/** What workers note of a record, in ms since 1970. */
export interface WorkerStages {
  readonly readMs: number
  readonly decodedMs: number
  readonly storedMs: number
}

/** The headers with how the message came; `begun` writes into them when it goes to the log. */
export function watchedHeaders(
  headers: RecordHeaders | undefined,
  arrival: Arrival,
): { readonly headers: RecordHeaders; readonly begun: (atMs: number) => void } {
  const watched: Record<string, string> = { ...headers, [WATCH_HEADER]: JSON.stringify(arrival) }
  const begun = (appendingMs: number): void => {
    watched[WATCH_HEADER] = JSON.stringify({ ...arrival, appendingMs } satisfies Watched)
  }
  return { headers: watched, begun }
}

export function isWatched({ headers }: Pick<LogRecord, 'headers'>): boolean {
  return headers?.[WATCH_HEADER] !== undefined
}

/** Undefined where the device was not under watch. */
export function watchedOf({ headers }: Pick<LogRecord, 'headers'>): Watched | undefined {
  const text = headers?.[WATCH_HEADER]
  return text === undefined ? undefined : (JSON.parse(text) as Watched) // our own text
}

/** Where the cache has the {@link WorkerStages} of a record: no two records have one stamp. */
export function stagesKey({ key, ms, ns }: LogRecord): string {
  return `watch:${key}/${ms}.${ns}`
}
