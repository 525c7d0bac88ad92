/** One message for a codec. */
export interface CodecJob {
  /** See `idOfDefinition`. */
  readonly id: string
  /** JSON; see docs/codecs.md. */
  readonly input: string
  /** What the codec takes for the present, in ms. */
  readonly nowMs: number
}

/** What the thread of codecs can be asked. */
export type CodecCalls = {
  /** Answers in the order of the jobs: see `Sandbox.run`, and `P` for a codec that is paused. */
  readonly run: {
    readonly ask: {
      readonly jobs: readonly CodecJob[]
      readonly sources: readonly (readonly [id: string, source: string])[]
    }
    readonly answer: readonly string[]
  }
  /** What is wrong with a source; undefined: nothing. */
  readonly check: { readonly ask: string; readonly answer: string | undefined }
  /** Paused ones are tried again. */
  readonly resume: { readonly ask: undefined; readonly answer: undefined }
  readonly close: { readonly ask: undefined; readonly answer: undefined }
}

/**
 * How long one message may take by the clock. What runs is bounded by steps, which are the same in every run; this is only
 * for what the engine does in one step, such as a regular expression that never ends.
 */
export const HANG_MS = 10_000
/** The answer for what a codec hangs at, and for all that comes after it. */
export const HUNG = `Lit was still running after ${HANG_MS / 1_000} s, and is paused`

/** Failures in a row after which a codec is paused. */
export const MAX_FAILURES = 100

export interface CodecThreadData {
  /** One number: how many jobs were begun since the start of the thread. */
  readonly progress: SharedArrayBuffer
}
