import type { UploadedTable } from '../../../shared/codecs/uploaded-table.ts'
import { decodeRecords, SeriesTable, type Decoded } from '../../../shared/decoders/decode.ts'
import { learn } from '../../../shared/decoders/learn.ts'
import { LocalOrder } from '../../../shared/decoders/local-order.ts'
import { LruMap } from '../../../shared/lru.ts'
import { REVISION_HEADER } from '../../../shared/policies/revision.ts'
import { isReplay, LINES_HEADER, loginOfKey } from '../../../shared/record.ts'
import { laterBy } from '../../../shared/stamps/scheme.ts'
import type { Instant, LogRecord, PointBatch } from '../../../shared/telemetry.ts'
import { parseDeviceKey } from '../../../shared/topics.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { zoneOfToday, type RereadSpec, type ZoneOfToday } from './zone-of-today.ts'

/** Streams whose order of local times is remembered, the ones used last: more than send a backlog at once. */
const MAX_ORDERS = 10_000

/** A reading that stands at the receive time for want of a zone, and where it belongs. */
export interface Move {
  readonly record: LogRecord
  readonly tenant: string
  readonly uid: string
  readonly stream: string
  /** The receive time that it was given, which no other reading has. */
  readonly from: Instant
  readonly old: PointBatch
  readonly next: PointBatch
}

interface FinderOptions {
  readonly registry: Pick<Registry, 'decoders' | 'policies'>
  readonly uploaded: UploadedTable
}

/** Finds what a zone moves, of records in the order of the log. */
export class MoveFinder {
  readonly #options: FinderOptions
  readonly #spec: RereadSpec
  readonly #table: SeriesTable
  readonly #orders = new LruMap<string, LocalOrder>(MAX_ORDERS)
  #today: ZoneOfToday | undefined

  constructor(options: FinderOptions, spec: RereadSpec) {
    this.#options = options
    this.#spec = spec
    this.#table = new SeriesTable({ uploaded: options.uploaded })
  }

  /** Errors: those of the registry. */
  async of(record: LogRecord): Promise<readonly Move[]> {
    const { tenant, stream } = this.#spec
    const names = parseDeviceKey(record.key)
    if (names?.tenant !== tenant || loginOfKey(record.key) !== undefined || isReplay(record)) return []
    if (record.headers?.['form'] !== undefined || record.headers?.[LINES_HEADER] !== undefined) return []
    const { registry } = this.#options
    const today = (this.#today ??= await zoneOfToday(registry, this.#spec))
    const { [REVISION_HEADER]: _used, ...others } = record.headers ?? {}
    const again = { ...record, headers: today.rv === undefined ? others : { ...others, [REVISION_HEADER]: today.rv } }
    await learn(this.#table, [record], registry)
    const before = decodeRecords([record], this.#table)
    const of = before.points.series[0]?.stream
    if (of === undefined || (stream !== undefined && of !== stream)) return []
    await learn(this.#table, [again], today.known)
    const after = this.#inOrder(`${record.key} ${of}`, record, decodeRecords([again], this.#table))
    const zoneless = before.suspects.filter(({ code }) => code === 'time_without_zone')
    return zoneless.flatMap(({ element }) => {
      const from = laterBy(record, element)
      const old = partOf(before, element, (time) => isSame(time, from))
      const next = partOf(after, element, () => true)
      const isStill = next.series.some((_, i) => isSame(timeOf(next, i), from))
      const hasAll = old.series.every(({ field }) => isTime(field, before, element) || hasField(next, field))
      if (old.series.length === 0 || next.series.length === 0 || isStill || !hasAll) return []
      return [{ record, tenant, uid: names.device, stream: of, from, old, next }]
    })
  }

  /** The hour that comes twice, as the worker decides it. */
  #inOrder(key: string, record: LogRecord, decoded: Decoded): Decoded {
    if (decoded.locals === undefined) return decoded
    const order = this.#orders.get(key) ?? new LocalOrder()
    this.#orders.set(key, order)
    const isDup = record.headers?.['dup'] === '1'
    const ms = [...decoded.points.ms]
    for (const { element, ms: at, other } of decoded.locals) {
      const chosen = order.choose(Math.min(at, other), Math.max(at, other), record.ms, isDup)
      order.note(chosen, record.ms)
      for (const [i, one] of decoded.points.ms.entries()) {
        if (one === at && decoded.element[i] === element) ms[i] = chosen
      }
    }
    return { ...decoded, points: { ...decoded.points, ms } }
  }
}

function timeOf({ ms, ns }: PointBatch, i: number): Instant {
  return { ms: ms[i] ?? 0, ns: ns[i] ?? 0 }
}

function isSame(a: Instant, b: Instant): boolean {
  return a.ms === b.ms && a.ns === b.ns
}

function hasField({ series }: PointBatch, field: string): boolean {
  return series.some((one) => one.field === field)
}

/** The field that only keeps the text of the time. */
function isTime(field: string, { points, element, suspects }: Decoded, of: number): boolean {
  const detail = suspects.find((one) => one.element === of && one.code === 'time_without_zone')?.detail ?? ''
  const at = points.series.findIndex((one, i) => one.field === field && element[i] === of)
  return typeof points.values[at] === 'string' && detail.startsWith(JSON.stringify(field))
}

function partOf({ points, element }: Decoded, of: number, isIn: (time: Instant) => boolean): PointBatch {
  const part: PointBatch = { series: [], ms: [], ns: [], values: [] }
  for (const [i, series] of points.series.entries()) {
    const value = points.values[i]
    if (element[i] !== of || value === undefined || !isIn(timeOf(points, i))) continue
    part.series.push(series)
    part.ms.push(points.ms[i] ?? 0)
    part.ns.push(points.ns[i] ?? 0)
    part.values.push(value)
  }
  return part
}
