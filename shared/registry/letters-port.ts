/**
 * `replayed`: all that it names is stored, or needs no storing any more. `faulty`: something of it is still wrong.
 * `discarded`: somebody looked at it, and it is to be left.
 */
export type LetterState = 'replayed' | 'faulty' | 'discarded'

export const LETTER_STATES: readonly LetterState[] = ['replayed', 'faulty', 'discarded']

/** What was done about a dead letter. */
export interface LetterNote {
  /** Of the letter, at most 128 characters. */
  readonly id: string
  readonly state: LetterState
  /** How often it was replayed. */
  readonly tries: number
  /** The job that did it last. */
  readonly job: number
  readonly atMs: number
  readonly who: string
}

/** Notes kept; beyond it the oldest are forgotten, and their letters are as if nothing had been done about them. */
export const MAX_LETTER_NOTES = 1_000_000

/** What was done about dead letters, which themselves lie in the log. Errors as of `Registry`. */
export interface LetterNotes {
  /** By the letter's id; those about which nothing was done are not in the answer. */
  of(ids: readonly string[]): Promise<ReadonlyMap<string, LetterNote>>
  /** In the place of those before. Error: `disk_full`. */
  put(notes: readonly LetterNote[]): Promise<void>
  /** Forgets the oldest beyond `keep`. */
  trim(keep?: number): Promise<void>
}
