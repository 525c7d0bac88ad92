import type { DatabaseSync } from 'node:sqlite'
import type { FileName } from './chunk-files.ts'
import { isForgotten, type HotGap } from './hot-gaps.ts'
import { checked, hotValues, insertHot } from './hot-rows.ts'
import { int, one } from './row.ts'
import type { Span } from './time.ts'

/** Files of chunks of which it is known that they must be there. Throws a RangeError when a row is damaged. */
export function listedFiles(db: DatabaseSync): FileName[] {
  const rows = db.prepare('SELECT * FROM chunk_file').all()
  return rows.map((row) => ({ tenant: int(checked('chunk_file', row), 'tenant'), month: int(row, 'month') }))
}

/** Within a transaction: from now on these files must be there. */
export function listFiles(db: DatabaseSync, names: readonly FileName[]): void {
  const known = new Set(listedFiles(db).map(({ tenant, month }) => `${tenant} ${month}`))
  const insert = db.prepare(insertHot('chunk_file'))
  let id = int(one(db.prepare('SELECT coalesce(max(id), 0) AS id FROM chunk_file')), 'id')
  for (const { tenant, month } of names) {
    if (!known.has(`${tenant} ${month}`)) insert.run(...hotValues('chunk_file', [++id, tenant, month]))
  }
}

/** Within a transaction; true when it was listed. */
export function unlistFile(db: DatabaseSync, { tenant, month }: FileName): boolean {
  return db.prepare('DELETE FROM chunk_file WHERE tenant = ? AND month = ?').run(tenant, month).changes > 0
}

/** Throws a RangeError when a row is damaged. */
export function storedGaps(db: DatabaseSync): (HotGap & { readonly id: number })[] {
  const rows = db.prepare('SELECT * FROM gap').all()
  return rows.map((row) => {
    checked('gap', row)
    return { id: int(row, 'id'), series: int(row, 'series'), fromMs: int(row, 'from_ms'), toMs: int(row, 'to_ms') }
  })
}

/** Within a transaction: what was missing of these series within a span is missed no longer. */
export function forgetGaps(db: DatabaseSync, series: readonly number[], span: Span): void {
  const forget = db.prepare('DELETE FROM gap WHERE id = ?')
  for (const gap of storedGaps(db)) if (series.includes(gap.series) && isForgotten(gap, span)) forget.run(gap.id)
}
