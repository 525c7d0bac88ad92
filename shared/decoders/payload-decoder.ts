import type { Fault } from '../faults.ts'
import type { Policy } from '../policies/settings.ts'
import type { DecoderDefinition } from '../registry/decoders-port.ts'
import type { LogRecord } from '../telemetry.ts'

/** What a decoder may look at beside the payload. */
export interface DecodeContext {
  /** Whose payload it is; that may have been compressed. */
  readonly record: LogRecord
  readonly stream: string
  readonly policy: Policy
}

/**
 * Turns payloads of a format into JSON, as text: shapes, times, kinds, bounds and what is refused of it are then those of
 * JSON, and nothing of the payload is ever an object of this process.
 */
export interface PayloadDecoder {
  /** JSON in UTF-8 that stands for the payload, or what is wrong with the payload. Never throws for bad input. */
  read(payload: Uint8Array, context: DecodeContext): Uint8Array | Fault
}

/** Looks definitions up by their ids; those that nobody knows are not in the answer. */
export type FindDefinitions = (ids: readonly string[]) => Promise<ReadonlyMap<string, DecoderDefinition>>

/** The decoders that were uploaded, by name. */
export interface UploadedDecoders {
  decoderOf(name: string): PayloadDecoder | undefined
  /** Makes ready what records are decoded by whose policies name uploaded decoders: some work elsewhere, and take their time. */
  prepare?(records: readonly DecodeContext[], find: FindDefinitions): Promise<void>
}
