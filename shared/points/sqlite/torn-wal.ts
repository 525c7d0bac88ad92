import { rowsOfPage } from '../../storage/table-pages.ts'
import type { Wal, WalFrame } from '../../storage/wal.ts'
import { HOT_COLUMNS, isHotRow } from './hot-rows.ts'
import { toValue } from './row.ts'

/**
 * True when what is damaged in the WAL of the hot database is what a power cut may leave: commits that no sync has
 * followed, of which the disk holds some sectors and others not. Nothing of them was promised, their readings are read
 * again from the log, and SQLite leaves them out by itself.
 */
export function isTornTail({ frames, isHeaderWhole }: Wal): boolean {
  const broken = frames.findIndex(({ isWhole }) => !isWhole)
  // A sync returns before anything more is written: what stands behind it proves that all before it was on the disk.
  const proven = frames.slice(0, -1).findLastIndex(isSync)
  return isHeaderWhole && broken > proven && !frames.some(({ isFlipped }) => isFlipped)
}

/** True for the page that a sync counts itself in. */
function isSync({ bytes }: WalFrame): boolean {
  const [row, ...others] = rowsOfPage(bytes)
  if (row === undefined || others.length > 0 || row.values.length !== HOT_COLUMNS.synced.length + 1) return false
  const [count, last, crc] = row.values.slice(1).map(toValue)
  return isHotRow('synced', { id: row.id, count: count ?? null, last: last ?? null, crc: crc ?? null })
}
