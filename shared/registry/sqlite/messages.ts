/** What passes between {@link SqliteConnection} and the thread that owns the database. */

export interface SqliteQuery {
  readonly id: number
  readonly sql: string
  readonly parameters: readonly (null | number | bigint | string | Uint8Array)[]
}

export interface SqliteFailure {
  readonly message: string
  /** SQLite's extended result code; undefined for an error of another kind. */
  readonly resultCode: number | undefined
}

export type SqliteRequest = SqliteQuery | 'close'

/** The first answer, with id 0, says whether the database could be opened. */
export type SqliteAnswer =
  | { readonly id: number; readonly rows: readonly unknown[]; readonly changes: number }
  | { readonly id: number; readonly failure: SqliteFailure }
