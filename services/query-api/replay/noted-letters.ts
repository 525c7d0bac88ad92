import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { LetterNote } from '../../../shared/registry/letters-port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { DeletedLetters } from '../deleted-letters.ts'
import { letterMatches, type LetterFilter } from '../letters.ts'
import { newestPages, type LetterPage, type WholeLetter } from './letter-pages.ts'

/** Records of letters that one answer may be made of. */
const MAX_SCANNED = 20_000

/** A letter, and what was done about it. */
export interface LetterWithNote extends WholeLetter {
  readonly note: LetterNote | undefined
}

export interface LetterSources {
  readonly log: Pick<TelemetryLog, 'offsets' | 'read'>
  readonly registry: Pick<Registry, 'letterNotes' | 'names' | 'tombstones'>
}

/** Those of a page that are asked for, without those that hold what was deleted. */
export async function notedOf(
  registry: LetterSources['registry'],
  filter: LetterFilter,
  { letters }: Pick<LetterPage, 'letters'>,
): Promise<LetterWithNote[]> {
  const { names, letterNotes } = registry
  const deleted = await DeletedLetters.of(registry)
  const asked = letters.filter((one) => letterMatches(names, filter, one) && !deleted.has(one.letter))
  const notes = await letterNotes.of(asked.map(({ id }) => id))
  return asked.map((one) => ({ ...one, note: notes.get(one.id) }))
}

/** For one answer: the newest letters that are asked for, page by page; `isLast` when none is left behind a page. */
export async function* newestNoted(
  { log, registry }: LetterSources,
  filter: LetterFilter,
  signal: AbortSignal,
): AsyncGenerator<{ readonly letters: readonly LetterWithNote[]; readonly isLast: boolean }> {
  for await (const { letters, isLast } of newestPages(log, MAX_SCANNED, signal)) {
    yield { letters: await notedOf(registry, filter, { letters }), isLast }
  }
}
