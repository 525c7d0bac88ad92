import type { TableRow } from '../../../shared/registry/tables-port.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { createHash } from 'node:crypto'
import type { Comparison, Differences, MigrationPorts, Step } from './migration-ports.ts'
import { persist } from './retry.ts'

/** Rows read, compared and inserted at a time. */
const ROWS = 500
/** Conflicts told before the migration stops. */
const CONFLICTS = 20

/** The key of the administrator is set by whoever deploys: ADMIN_TOKEN of the cluster. */
const ADMIN_KEY = 'admin'

/** Columns that change while a login or a key is used, or say only when this side first met a name. */
const NOT_COMPARED: Readonly<Record<string, readonly string[]>> = {
  tenants: ['created_ms'],
  credential_pairs: ['first_used_ms', 'last_used_ms'],
  claim_keys: ['uses'],
  device_state: ['log_id', 'log_partition', 'log_offset'],
}

/**
 * Every page of a table as it goes into the target. Latest state stands behind no record of the target's log yet: at
 * offset -1 of no log every record there is newer.
 */
export async function* movedRows({ tables }: MigrationPorts, table: string): AsyncGenerator<TableRow[]> {
  let after: TableRow | undefined
  for (;;) {
    const rows = await tables.page(table, { after, limit: ROWS })
    after = rows.at(-1)
    if (table === 'device_state') yield rows.map((row) => ({ ...row, log_id: '', log_partition: 0, log_offset: -1 }))
    else if (table === 'api_keys') yield rows.filter(({ name }) => name !== ADMIN_KEY)
    else yield [...rows]
    if (rows.length < ROWS) return
  }
}

/**
 * Copies every row. Nothing is copied while the target has a row of the same key that is another one. Error:
 * `already_exists` with the rows that are in the way.
 */
export async function moveRows(step: Step): Promise<void> {
  const conflicts: string[] = []
  await eachPage(step, 'compare', async (table, rows) => {
    const found = await persist(() => step.target.tables.find(table, rows), step.signal)
    rows.forEach((row, index) => {
      const other = found[index]
      if (other !== undefined && !isSame(table, row, other)) conflicts.push(nameOf(table, row))
    })
    return conflicts.length < CONFLICTS
  })
  if (conflicts.length > 0) {
    const message = `the cluster's registry already has different rows with these names, so nothing was copied: ${conflicts.join(', ')}`
    throw new SluiceError('already_exists', message)
  }
  await eachPage(step, 'copy', async (table, rows) => {
    if (rows.length > 0) await persist(() => step.target.tables.insert(table, rows), step.signal)
    return true
  })
}

/** Reads every row back. */
export async function compareRows(step: Step, differences: Differences): Promise<Comparison[]> {
  const comparisons: Comparison[] = []
  for (const table of step.source.tables.names) {
    const hashes = { source: createHash('sha256'), target: createHash('sha256') }
    const counts = { source: 0, target: 0 }
    for await (const rows of movedRows(step.source, table)) {
      step.signal.throwIfAborted()
      const found = await persist(() => step.target.tables.find(table, rows), step.signal)
      rows.forEach((row, index) => {
        const other = found[index]
        counts.source += 1
        hashes.source.update(textOf(table, row))
        if (other === undefined) return differences.add(`${nameOf(table, row)} is missing in the cluster`)
        counts.target += 1
        const same = isSame(table, row, other)
        hashes.target.update(textOf(table, same ? row : other))
        if (!same) differences.add(`${nameOf(table, row)} differs in the cluster`)
      })
    }
    const total = (side: 'source' | 'target') => ({ count: counts[side], checksum: hashes[side].digest('base64url') })
    comparisons.push({ what: table.replaceAll('_', ' '), source: total('source'), target: total('target') })
  }
  return comparisons
}

/** Goes through all tables until `take` says that it is enough. */
async function eachPage(
  { source, signal, onProgress }: Step,
  verb: string,
  take: (table: string, rows: readonly TableRow[]) => Promise<boolean>,
): Promise<void> {
  for (const table of source.tables.names) {
    let seen = 0
    for await (const rows of movedRows(source, table)) {
      signal.throwIfAborted()
      if (!(await take(table, rows))) return
      seen += rows.length
      onProgress(() => `registry: ${verb} ${table}, ${seen} rows`)
    }
  }
}

/** A state that the cluster's workers have gone on with since is newer, not another. */
function isSame(table: string, row: TableRow, other: TableRow): boolean {
  if (table === 'device_state' && Number(other['log_offset']) >= 0) return true
  return textOf(table, row) === textOf(table, other)
}

function textOf(table: string, row: TableRow): string {
  const left = NOT_COMPARED[table] ?? []
  const columns = Object.keys(row).filter((column) => !left.includes(column))
  return `${JSON.stringify(columns.sort().map((column) => [column, row[column]]))}\n`
}

/** For a person; never a hash. */
function nameOf(
  table: string,
  { tenant, device, stream, field, application, principal, username, name }: TableRow,
): string {
  const parts = [tenant, device, stream, field, application, username ?? principal, name]
  return `${table.replaceAll('_', ' ')} ${parts.filter((part) => part !== undefined && part !== null).join('/')}`
}
