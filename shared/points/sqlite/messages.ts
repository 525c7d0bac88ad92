import type { ErrorCode } from '../../errors.ts'
import type { FieldType, Series } from '../../telemetry.ts'
import type { CheckedQuery, Place } from '../cursor.ts'
import type { DeleteRange, DeviceOfPoints } from '../port.ts'

/** What the main thread asks of the thread that owns the databases. Requests are served in the order they are posted. */
export type Request =
  | { readonly kind: 'write'; readonly parts: readonly Uint8Array<ArrayBuffer>[]; readonly names: SeriesNames }
  | { readonly kind: 'sync' }
  | { readonly kind: 'query'; readonly query: CheckedQuery }
  | { readonly kind: 'series'; readonly tenant: string; readonly device: string }
  | { readonly kind: 'devices'; readonly after: DeviceOfPoints | undefined; readonly limit: number }
  | { readonly kind: 'delete'; readonly range: DeleteRange }
  | { readonly kind: 'retention'; readonly tenant: string; readonly keepMs: number | undefined }
  | { readonly kind: 'snapshot'; readonly folder: string }
  | { readonly kind: 'close' }

export type Posted = Request & { readonly id: number }

/** What each kind of request is answered with. */
export interface Answers {
  readonly write: WriteAnswer
  readonly sync: undefined
  readonly query: QueryAnswer
  readonly series: readonly { stream: string; field: string; type: FieldType }[]
  readonly devices: readonly DeviceOfPoints[]
  readonly delete: undefined
  readonly retention: undefined
  readonly snapshot: undefined
  readonly close: undefined
}

export interface WriteAnswer {
  /** Points of which the series exists with another type, by part and index within the part. */
  readonly conflicts: readonly Conflict[]
  /** Points that are not sealed, with these. */
  readonly rawPoints: number
}

export interface Conflict {
  readonly part: number
  readonly index: number
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
}

export interface SeriesColumns {
  readonly stream: string
  readonly field: string
  readonly type: FieldType
  readonly ms: Float64Array<ArrayBuffer>
  /** Undefined when all are 0. */
  readonly ns: Uint32Array<ArrayBuffer> | undefined
  readonly values: Float64Array<ArrayBuffer> | readonly (number | bigint | boolean | string)[]
}

/** What the thread says. `state` comes by itself, at most once per turn of its loop. */
export type Reply =
  | { readonly kind: 'open'; readonly rawPoints: number }
  | { readonly kind: 'done'; readonly id: number; readonly answer: Answers[keyof Answers] }
  | { readonly kind: 'failed'; readonly id: number | undefined; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'state'; readonly state: StoreState }
  | { readonly kind: 'warning'; readonly message: string; readonly code: ErrorCode }

/** Figures for the metrics. */
export interface StoreState {
  /** Points not sealed yet. */
  readonly rawPoints: number
  readonly bytesOnDisk: number
  /** Since the last state: chunks written, and the working time of each finished sealing in seconds. */
  readonly chunksSealed: number
  readonly sealSeconds: readonly number[]
}

/** What the thread is started with. */
export interface ThreadOptions {
  readonly folder: string
  readonly sealAfterPoints: number
  readonly sealAfterMs: number
}
