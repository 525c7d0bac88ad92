import { isPlainGlob } from '../../glob.ts'
import { placeType } from '../joined.ts'
import { compareScanSeries, isAsked, isBehind, type CheckedScan, type ScanPlace } from '../scan-check.ts'
import { cellOf, typeOf, type OnRow } from './csv.ts'
import { seriesWithin } from './flux.ts'
import { fieldKeysOf, fieldOf, measurementPrefix, readName } from './names.ts'
import type { Asking, FoundSeries, Span } from './scan-reader.ts'

/** Series that one search keeps; those behind them are looked for when these are done. */
const HELD_SERIES = 10_000

/** The first series of a scan behind a place, in order; `isAll` when there are no more. */
export async function findSeries(
  { reader, bucket, signal }: Asking,
  scan: CheckedScan,
  devices: readonly string[] | undefined,
  place: ScanPlace,
  span: Span,
): Promise<{ found: FoundSeries[]; isAll: boolean }> {
  const { tenant, streams, fields } = scan
  const prefix = measurementPrefix(tenant).length
  let found: FoundSeries[] = []
  let isAll = true
  const plain = (patterns: readonly string[] | undefined) =>
    patterns?.every(isPlainGlob) === true ? patterns : undefined
  const search = {
    bucket,
    tenant,
    devices,
    streams: plain(streams),
    keys: plain(fields)?.flatMap(fieldKeysOf),
    ...span,
  }
  const cut = (): void => {
    found.sort(compareScanSeries)
    if (found.length > HELD_SERIES) isAll = false
    found = found.slice(0, HELD_SERIES)
  }
  const onRow: OnRow = (table, cells) => {
    const [measurement, key] = [cellOf(table, cells, '_measurement'), cellOf(table, cells, '_field')]
    const [device, stream] = [readName(cellOf(table, cells, 'device')), readName(measurement.slice(prefix))]
    const one = { device, stream, field: fieldOf(key), type: typeOf(table, '_value'), measurement, key }
    const order = compareScanSeries({ ...one, type: placeType(one.type, scan.joined) }, place)
    if (!isAsked(scan, one) || order < 0 || (order === 0 && isBehind(place))) return
    found.push(one)
    if (found.length >= 2 * HELD_SERIES) cut()
  }
  await reader.ask(seriesWithin(search), onRow, signal)
  cut()
  // The floats of the same field may have been cut off.
  if (!isAll && scan.joined && found.at(-1)?.type === 'integer') found.pop()
  return { found, isAll }
}
