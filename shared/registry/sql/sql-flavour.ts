import type { ColumnDataType, InsertQueryBuilder, InsertResult, Kysely, RawBuilder } from 'kysely'
import type { SluiceError } from '../../errors.ts'
import type { RegistrySchema } from './schema.ts'

export type StateRow = RegistrySchema['device_state']

/** What differs between the databases that can hold a registry. Everything else is written once, in `queries*.ts`. */
export interface SqlFlavour {
  /** Several processes may have the database open: each is told what the others change. */
  readonly isShared: boolean
  /** Column type of a JSON text of any length. */
  readonly longText: ColumnDataType | RawBuilder<unknown>
  /**
   * Column type of a field name within a key, 1,024 bytes of any characters; undefined where columns are of any length.
   */
  readonly longestName: RawBuilder<unknown> | undefined
  /**
   * Ends every CREATE TABLE: engine and collation. Identifiers must compare byte by byte, trailing spaces included: in
   * MariaDB that is a NO PAD binary collation of utf8mb4.
   */
  readonly tableOptions: RawBuilder<unknown> | undefined
  /** The time on the database's clock, in whole milliseconds since 1970. */
  readonly nowMs: RawBuilder<number>
  /** Makes an insert leave rows alone whose primary key exists. */
  insertIfAbsent<T extends keyof RegistrySchema>(
    insert: InsertQueryBuilder<RegistrySchema, T, InsertResult>,
  ): InsertQueryBuilder<RegistrySchema, T, InsertResult>
  /**
   * Inserts rows in the given order, replacing those that have an earlier position in the same partition, or one in
   * another partition or log.
   */
  writeState(db: Kysely<RegistrySchema>, rows: readonly StateRow[]): Promise<void>
  /** True for the error of an insert whose primary key exists. */
  isDuplicate(error: unknown): boolean
  /** True when the database gave the work up to let other work finish: nothing of it happened, it may be repeated. */
  isConflict(error: unknown): boolean
  /** What this database's error means. */
  toSluiceError(error: unknown): SluiceError
}

/** Of `device_state`, in the order in which both engines write them. */
export const STATE_COLUMNS = [
  'tenant',
  'device',
  'stream',
  'fields',
  'last_seen_ms',
  'log_id',
  'log_partition',
  'log_offset',
  'kept',
  'clock',
  'first_json',
] as const satisfies (keyof StateRow)[]
