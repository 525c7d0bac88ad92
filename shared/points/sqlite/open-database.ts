import { statSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../errors.ts'
import { readWal } from '../../storage/wal.ts'
import { formatInstant } from '../../telemetry.ts'
import { PointDatabase } from './database.ts'
import { isDamage } from './damage.ts'
import { toStoreError } from './failure.ts'
import type { HotGap } from './hot-gaps.ts'
import { salvageHot, HOT_PAGE_BYTES } from './hot-salvage.ts'
import type { ThreadOptions } from './messages.ts'
import { isTornTail } from './torn-wal.ts'

/**
 * Opens the store of a folder, with what can be read of it when it is damaged; `onDamage` is told of each damage that is
 * found, now and later. Errors: `data_locked`, `data_newer`, `data_unwritable`, `disk_full`, `store_corrupt`.
 */
export function openPointDatabase(options: ThreadOptions, onDamage: (detail: string) => void): PointDatabase {
  const file = join(options.folder, 'raw.db')
  const wal = readWal(`${file}-wal`, HOT_PAGE_BYTES)
  // SQLite would stop reading there, and forget what follows.
  if (wal?.isDamaged === true && !isTornTail(wal)) onDamage(salvage(file, 'its WAL is damaged'))
  try {
    return new PointDatabase(options, onDamage)
  } catch (error) {
    if (!isDamage(error) || (statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) throw error
    onDamage(salvage(file, toStoreError(error).message))
    return new PointDatabase(options, onDamage)
  }
}

/** What was found and done, for people. */
function salvage(file: string, what: string): string {
  const done = salvageHot(file)
  if (done === undefined) throw new SluiceError('store_corrupt', `${file}: ${what}; nothing of it can be read`)
  const { kept, gaps, nameless } = done
  const lost = gaps.length === 0 ? 'no point is lost' : lostText(gaps)
  const names = nameless === 0 ? '' : `, and the names of ${nameless} series or tenants`
  return `${file}: ${what}; it is kept as ${kept}, and what can be read of it is used: ${lost}${names}`
}

function lostText(gaps: readonly HotGap[]): string {
  const from = gaps.reduce((least, { fromMs }) => Math.min(least, fromMs), Infinity)
  const to = gaps.reduce((most, { toMs }) => Math.max(most, toMs), 0)
  const series = gaps.some((gap) => gap.series === 0) ? 'any series' : `${gaps.length} series`
  return `points of ${series} are lost, from ${formatInstant({ ms: from, ns: 0 })} to ${formatInstant({ ms: to, ns: 0 })}`
}
