import type { Facts } from './facts-port.ts'

/** A row of a table as it is stored: column to value. */
export type TableRow = Readonly<Record<string, string | number | null>>

/**
 * The tables of a registry as they are, hashes of credentials with them: for moving a registry to another database with
 * the same credential key. Facts of one installation (revisions, audit) are not among them. Errors:
 * `registry_unavailable`, `disk_full`, `closed`.
 */
export interface RegistryTables {
  /** In the order in which rows go in: what others name comes first. */
  readonly names: readonly string[]
  readonly facts: Facts
  /** Rows in the order of the key, those behind the key of `after`; fewer than `limit` only at the end. */
  page(
    table: string,
    page: { readonly after?: TableRow | undefined; readonly limit: number },
  ): Promise<readonly TableRow[]>
  /** The rows with the keys of these, in the order asked; undefined where there is none. */
  find(table: string, rows: readonly TableRow[]): Promise<readonly (TableRow | undefined)[]>
  /** Inserts the rows whose key is absent; existing ones stay as they are. All or none, told to other processes. */
  insert(table: string, rows: readonly TableRow[]): Promise<void>
  close(): Promise<void>
}
