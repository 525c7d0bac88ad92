import type { Asked, Failure, Said, ThreadClient } from '../../process/thread-client.ts'
import type { Series } from '../../telemetry.ts'
import type { CheckedQuery, Place } from '../cursor.ts'
import type { DeleteRange, DeviceOfPoints, KnownSeries, Retention, SeriesType } from '../port.ts'
import type { CheckedScan } from '../scan-check.ts'
import type { ScanStep } from './scan-state.ts'
import type { BegunScan } from './scans.ts'
import type { Sealed } from './seal.ts'

/** What the thread that owns the databases is asked, and answers. Requests are served in the order they are posted. */
export interface Calls {
  write: { ask: { parts: readonly Uint8Array<ArrayBuffer>[]; names: SeriesNames }; answer: WriteAnswer }
  sync: { ask: undefined; answer: undefined }
  query: { ask: CheckedQuery; answer: QueryAnswer }
  scan: { ask: { scan: CheckedScan; points: number }; answer: BegunScan }
  scanStep: { ask: { id: number; points: number }; answer: ScanStep | undefined }
  scanEnd: { ask: { id: number }; answer: undefined }
  series: {
    ask: { tenant: string; device: string }
    answer: readonly KnownSeries[]
  }
  devices: { ask: { after: DeviceOfPoints | undefined; limit: number }; answer: readonly DeviceOfPoints[] }
  delete: { ask: DeleteRange; answer: undefined }
  setRetention: { ask: { tenant: string; keepMs: number | undefined }; answer: undefined }
  retention: { ask: undefined; answer: Retention }
  snapshot: { ask: { folder: string }; answer: undefined }
  close: { ask: undefined; answer: undefined }
}

export type Request = Asked<Calls>
export type Answer = Calls[keyof Calls]['answer']

export interface WriteAnswer {
  /** Points that are not sealed, with these. */
  readonly rawPoints: number
}

/**
 * Series new to the connection between the threads: `added[i]` is called `first + i` from now on. `first` 0 forgets all
 * earlier names, so that neither side keeps more of them than a bound.
 */
export interface SeriesNames {
  readonly first: number
  readonly added: readonly Series[]
}

export interface QueryAnswer {
  readonly series: readonly SeriesColumns[]
  readonly next: Place | undefined
  readonly leftOut: readonly KnownSeries[]
}

export interface SeriesColumns extends Omit<KnownSeries, 'type'> {
  readonly type: SeriesType
  readonly ms: Float64Array<ArrayBuffer>
  /** Undefined when all are 0. */
  readonly ns: Uint32Array<ArrayBuffer> | undefined
  readonly values: Float64Array<ArrayBuffer> | readonly (number | bigint | boolean | string)[]
}

/** What is open, in points that are not sealed. */
export interface Opened {
  readonly rawPoints: number
}

/** Figures, at most once per turn of the thread's loop, and what failed that is tried again. */
export type PointsEvent =
  | { readonly kind: 'state'; readonly state: StoreState }
  | { readonly kind: 'warning'; readonly failure: Failure }
  /** A file was found damaged and repaired, as far as that goes. */
  | { readonly kind: 'damage'; readonly detail: string }

export type FromThread = Said<Opened, PointsEvent>
export type PointsThread = ThreadClient<Calls, Opened, PointsEvent>

/** Figures for the metrics. */
export interface StoreState {
  /** Points not sealed yet. */
  readonly rawPoints: number
  readonly bytesOnDisk: number
  /** Since the last state: what was done, and the working time of each finished sealing in seconds. */
  readonly sealed: Sealed
  readonly sealSeconds: readonly number[]
}

/** What the thread is started with. */
export interface ThreadOptions {
  readonly folder: string
  readonly sealAfterPoints: number
  readonly sealAfterMs: number
  /** How long points of any tenant are kept at most; undefined = for ever. */
  readonly keepMs: number | undefined
}
