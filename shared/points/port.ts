import type { SluiceError } from '../errors.ts'
import type { FieldType, Instant, Kind, PointBatch, PointValue } from '../telemetry.ts'

export type Aggregate = 'min' | 'max' | 'mean' | 'sum' | 'count' | 'first' | 'last'

/** Which points: one stream of one device, all its fields or one; `from` inclusive, `to` exclusive. */
export interface PointRange {
  readonly tenant: string
  readonly device: string
  readonly stream: string
  readonly field?: string
  readonly from?: Instant
  readonly to?: Instant
}

/** Type of a series in an answer: `number` has floats and integers. */
export type SeriesType = FieldType | 'number'

export interface PointQuery extends PointRange {
  /** Points over all series, 1 to 10,000. */
  readonly limit: number
  /** Of each field only the values of this kind; all kinds by default. */
  readonly kind?: Kind
  /** The floats and integers of a field as one series, of type `number` where it has both: at one time the integer counts. */
  readonly joined?: boolean
  /** `next` of the previous answer with the same query. `cursor_invalid` when it is not one. */
  readonly cursor?: string
  /**
   * Windows of `intervalMs` (whole milliseconds, >= 1) aligned to 1970, each as one point at the window's start;
   * empty windows are absent. Without `intervalMs` the whole range is one window: one point, of first, last, min and max
   * at the time of the point that it names (of several with the least value, the first), of count, mean and sum at the
   * time of the first point. mean and sum are floats. min, max, mean and sum are of numbers: other kinds are left out and
   * named, and refused (`bad_request`) where one field or kind was asked for that has no numbers.
   */
  readonly aggregate?: { readonly function: Aggregate; readonly intervalMs?: number }
}

/** A series of a device. A field has one for each kind of value that it had. */
export interface KnownSeries {
  readonly stream: string
  readonly field: string
  readonly type: FieldType
}

/** Points of one series in time order. `times[i]` belongs to `values[i]`. */
export interface SeriesPoints extends Omit<KnownSeries, 'type'> {
  readonly type: SeriesType
  readonly times: readonly Instant[]
  readonly values: readonly PointValue[]
}

/**
 * Series by field name (code unit order) and within a field texts, booleans, numbers; each in time order. `next`
 * continues where the limit cut, or where the page had 512 Ki characters of text.
 */
export interface PointPage {
  readonly series: readonly SeriesPoints[]
  readonly complete: boolean
  readonly next: string | undefined
  /** Series for which the aggregate is not defined. */
  readonly leftOut: readonly KnownSeries[]
}

/** Which series of a tenant; a part that is left out means all. */
export interface SeriesSelector {
  /** At most 10,000 names. */
  readonly devices?: readonly string[]
  /** Names or patterns as {@link matchesGlob} takes them, at most 100. */
  readonly streams?: readonly string[]
  readonly fields?: readonly string[]
}

/** What a scan may hand out, each a whole number from 1 on. The first point is handed out whatever the bytes. */
export interface ScanBudget {
  readonly series: number
  /** Points, or windows. */
  readonly points: number
  /** Of columns, a text as two bytes a character. */
  readonly bytes: number
  /** From the first call of `next`; the work under way is ended, not cut. */
  readonly ms: number
}

export interface PointScan {
  readonly tenant: string
  readonly selector: SeriesSelector
  /** All by default. */
  readonly kinds?: readonly Kind[]
  /** As of {@link PointQuery}. */
  readonly joined?: boolean
  /** Inclusive. */
  readonly from?: Instant
  /** Exclusive. */
  readonly to?: Instant
  /** Windows of so many whole milliseconds aligned to 1970, instead of points; those without a point are absent. */
  readonly stepMs?: number
  readonly budget: ScanBudget
  /** `next` of an earlier end of the same scan. `cursor_invalid` when it is none. */
  readonly cursor?: string
  /** Ends the scan, as a budget does. */
  readonly signal?: AbortSignal
}

/**
 * Values of one series. Floats: Float64Array. Integers: Float64Array where all of them are exact in it, else
 * BigInt64Array. Both in one: Float64Array where all integers are exact in it, else a list. Booleans: Uint8Array of 0 and 1.
 * Texts: strings.
 */
export type Column = Float64Array | BigInt64Array | Uint8Array | readonly string[] | readonly (number | bigint)[]

/** `value` of a scan without step, all others of one with it; of windows of booleans and texts no min, max and sum. */
export interface ScanColumns {
  readonly value?: Column
  readonly count?: Float64Array
  readonly first?: Column
  readonly last?: Column
  readonly min?: Column
  readonly max?: Column
  /** Infinite where it lies beyond the doubles. sum / count is the mean. */
  readonly sum?: Float64Array
  /** Where a sum is infinite, which no mean is. */
  readonly mean?: Float64Array
}

/** Points or windows of one series, in time order: row i of each column. */
export interface ScannedSeries extends Omit<KnownSeries, 'type'> {
  readonly type: SeriesType
  readonly device: string
  /** Time of the point, or start of the window, in ms since 1970. */
  readonly ms: Float64Array
  /** Nanoseconds beyond; undefined when all are 0. */
  readonly ns: Uint32Array | undefined
  readonly columns: ScanColumns
}

/** A series may go on in the next batch. */
export interface ScanBatch {
  readonly kind: 'batch'
  readonly series: readonly ScannedSeries[]
}

/** The last item of every scan. */
export interface ScanEnd {
  readonly kind: 'end'
  /** What ended it: nothing was left, a budget, the signal, or `state`: what it read from is no longer kept. */
  readonly by: 'all' | keyof ScanBudget | 'signal' | 'state'
  /** Cursor to go on from; undefined after `all` alone. */
  readonly next: string | undefined
  /** What was handed out. */
  readonly spent: Omit<ScanBudget, 'ms'>
}

/** A device as points name it; whether it is registered is another question. */
export interface DeviceOfPoints {
  readonly tenant: string
  readonly device: string
}

/** How long points are kept, by their own time. */
export interface Retention {
  /** Of all tenants at most, in ms; undefined = for ever. A longer one of a tenant has no effect beyond it. */
  readonly mostMs: number | undefined
  /** Tenants that have one of their own, by name. */
  readonly tenants: readonly { readonly tenant: string; readonly keepMs: number }[]
}

/** One point that the store refused for what it is; the others of its batch are stored. */
export interface RejectedPoint {
  /** Index into the batch. */
  readonly index: number
  readonly error: SluiceError
}

/** What a delete covers; omitted parts mean all. Not one field of a stream: InfluxDB 2 has no delete by field (it answers 501). */
export interface DeleteRange {
  readonly tenant: string
  readonly device?: string
  readonly stream?: string
  readonly from?: Instant
  readonly to?: Instant
}

/**
 * Points by identity (tenant, device, stream, field, kind, time): writing one twice has no effect, and of two values for one
 * identity the one written later wins. Errors: `store_unavailable` (with `retryAfterMs` where the store asks for it),
 * `store_unauthorised`, `store_misconfigured`, `disk_full`, `closed`.
 */
export interface PointStore {
  /**
   * Resolves when the batch is visible to queries. Batches are applied in the order of the calls; one that rejects may
   * be written in part, and is to be written again before anything newer of its series. Callers see to `plain`.
   */
  write(batch: PointBatch): Promise<readonly RejectedPoint[]>

  /** Resolves when everything written before the call survives a power cut. Offsets are committed behind this. */
  sync(): Promise<void>

  query(query: PointQuery): Promise<PointPage>

  /**
   * Columns of many series, by device, stream and field (code points) and within a field texts, booleans, numbers; each
   * in time order. Batches hold at most about 1 MB, and nothing more is read before they are taken. Of the embedded store
   * all of one scan is of one moment, and one that goes on from a cursor of a later one; InfluxDB has no such. Whoever leaves early ends it (`return`). Errors:
   * `bad_request`, `cursor_invalid`, those of the store; thrown by `next`.
   */
  scan(scan: PointScan): AsyncGenerator<ScanBatch | ScanEnd, void, undefined>

  /** Streams of a device and their fields, in code unit order; a field once for each kind of value. */
  series(tenant: string, device: string): Promise<readonly KnownSeries[]>

  /**
   * Devices that have points, or had some until they expired, those behind `after`, by tenant and device; at most
   * `limit`. For whoever goes through everything: a store may look at all of it for each call.
   */
  devices(page: {
    readonly after?: DeviceOfPoints | undefined
    readonly limit: number
  }): Promise<readonly DeviceOfPoints[]>

  /** Resolves when queries no longer see the points; points written later are kept. */
  delete(range: DeleteRange): Promise<void>

  /** How long points of a tenant are kept, by their own time, in whole milliseconds; undefined = for ever (the default). */
  setRetention(tenant: string, keepMs: number | undefined): Promise<void>

  retention(): Promise<Retention>

  /**
   * Writes a consistent copy that can be opened as a store into an empty or absent folder. Error: `unsupported` of a
   * store that has its own backup.
   */
  snapshot(folder: string): Promise<void>

  close(): Promise<void>
}
