import type { Asked, Said, ThreadClient } from '../../process/thread-client.ts'

/** Ends a transaction, if there is one. */
export const ROLLBACK = 'rollback'
export const COMMIT = 'commit'

/** What passes between {@link SqliteConnection} and the thread that owns the database. */
export interface Calls {
  run: { ask: SqliteQuery; answer: SqliteResult }
  close: { ask: undefined; answer: undefined }
}

export interface SqliteQuery {
  readonly sql: string
  readonly parameters: readonly (null | number | bigint | string | Uint8Array)[]
}

export interface SqliteResult {
  readonly rows: readonly unknown[]
  readonly changes: number
}

export interface SqliteFailure {
  readonly message: string
  /** SQLite's extended result code; undefined for an error of another kind. */
  readonly resultCode: number | undefined
  /** Undefined when the result code says it all. */
  readonly code: 'disk_full' | 'storage_failed' | 'data_corrupt' | undefined
}

export type ToThread = Asked<Calls>
export type FromThread = Said<undefined, never, SqliteFailure>
export type RegistryThread = ThreadClient<Calls, undefined, never, SqliteFailure>
