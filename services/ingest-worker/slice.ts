import type { Decoded } from '../../shared/decoders/decode.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

/** How far a partition is, from the moment it is ours until it is taken away. */
export interface Progress {
  /** Which log the offsets are of. */
  log: string
  readonly partition: number
  /** Where the partition ended when it became ours. */
  readonly end: number
  /** Offset behind the last record that is written, dead letters and all: what may be committed. */
  stored: number
  committed: number
  /** The partition is no longer ours: nothing of it is written or committed any more. */
  revoked: boolean
}

/** A run of records of one partition on its way from decoding to the stores. */
export interface Slice {
  readonly progress: Progress
  readonly firstOffset: number
  readonly records: readonly LogRecord[]
  readonly decoded: Decoded
}

/** A reading of a slice that could not be stored, or not in full. */
export interface Refusal {
  readonly slice: Slice
  readonly record: number
  readonly element: number
  readonly stage: 'decode' | 'store'
  readonly code: Decoded['rejects'][number]['code']
  readonly detail: string
  /** The reading's bytes in the payload, `end` exclusive; looked up when absent. */
  readonly start?: number
  readonly end?: number
}
