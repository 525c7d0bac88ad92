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

export interface PointQuery extends PointRange {
  /** Points over all series, 1 to 10,000. */
  readonly limit: number
  /** Of each field only the values of this kind; all kinds by default. */
  readonly kind?: Kind
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
export interface SeriesPoints extends KnownSeries {
  readonly times: readonly Instant[]
  readonly values: readonly PointValue[]
}

/**
 * Series by field name (code unit order) and within a field texts, booleans, numbers; each in time order. `next`
 * continues where the limit cut, or where the page had 2 Mi characters of text.
 */
export interface PointPage {
  readonly series: readonly SeriesPoints[]
  readonly complete: boolean
  readonly next: string | undefined
  /** Series for which the aggregate is not defined. */
  readonly leftOut: readonly KnownSeries[]
}

/** A device as points name it; whether it is registered is another question. */
export interface DeviceOfPoints {
  readonly tenant: string
  readonly device: string
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
   * be written in part, and is to be written again before anything newer of its series. Numbers of a field are of one
   * type, float or integer, per stream of a tenant; callers see to it, and to `plain`.
   */
  write(batch: PointBatch): Promise<readonly RejectedPoint[]>

  /** Resolves when everything written before the call survives a power cut. Offsets are committed behind this. */
  sync(): Promise<void>

  query(query: PointQuery): Promise<PointPage>

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

  /**
   * Writes a consistent copy that can be opened as a store into an empty or absent folder. Error: `unsupported` of a
   * store that has its own backup.
   */
  snapshot(folder: string): Promise<void>

  close(): Promise<void>
}
