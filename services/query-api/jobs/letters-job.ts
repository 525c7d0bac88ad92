import { pause } from '../../../shared/backoff.ts'
import type { JobCounts } from '../../../shared/registry/jobs-port.ts'
import type { LetterNote } from '../../../shared/registry/letters-port.ts'
import type { LetterFilter } from '../letters.ts'
import { allLetters, PAGE_LETTERS, readPage, type Stretches } from '../replay/letter-pages.ts'
import { notedOf, type LetterSources, type LetterWithNote } from '../replay/noted-letters.ts'
import type { JobRun } from './job-runner.ts'

/** Letters that something is to be done about. */
export interface LettersSpec {
  readonly filter: LetterFilter
  /** Letters a second, at most. */
  readonly rate: number
}

/** A letter, and what was done about it before. */
export interface NotedLetter extends LetterWithNote {
  /** The note is of this job, which ended before it counted the letter: it is done as if there were none yet. */
  readonly isAgain: boolean
}

export interface PageDone {
  readonly counts: JobCounts
  /** What is to be noted about letters of the page; the others are passed over. */
  readonly notes: readonly Pick<LetterNote, 'id' | 'state' | 'tries'>[]
}

/**
 * Goes through the letters that were there when the job began, page by page, each letter once. Where the process ended in
 * between, the page that it was at is done again: `doPage` must then change nothing.
 */
export async function goThroughLetters(
  { log, registry }: LetterSources,
  run: JobRun,
  doPage: (letters: readonly NotedLetter[]) => Promise<PageDone>,
): Promise<JobCounts> {
  const { filter, rate } = run.job.spec as LettersSpec // written by the route
  const { id: job, who } = run.job
  const { letterNotes } = registry
  let left = run.job.position as Stretches | undefined // written below
  let counts = run.job.counts
  if (left === undefined) {
    await letterNotes.trim()
    left = await allLetters(log)
    await run.save({ position: left })
  }
  for (let isFirst = true; ; isFirst = false) {
    run.signal.throwIfAborted()
    const started = performance.now()
    const page = await readPage(log, left, Math.min(PAGE_LETTERS, rate), run.signal)
    if (page === undefined) return counts
    const asked = await notedOf(registry, filter, page)
    const noted = asked.map((one) => ({ ...one, isAgain: one.note?.job === job }))
    // Behind the first page a letter that has the job's note is a repeat of one that was counted.
    const done = await doPage(noted.filter(({ isAgain }) => isFirst || !isAgain))
    left = page.left
    counts = sumOf(counts, done.counts)
    // Before they are counted: whoever goes on after a kill in between does the page again, and counts it.
    await letterNotes.put(done.notes.map((note) => ({ ...note, job, who, atMs: Date.now() })))
    await run.save({ position: left, counts, progress: `${records(left)} records of letters are left.` })
    await pause(Math.max(0, (done.notes.length * 1000) / rate - (performance.now() - started)), run.signal)
  }
}

function records(left: Stretches): number {
  return left.reduce((sum, { from, to }) => sum + to - from, 0)
}

export function sumOf(a: JobCounts, b: JobCounts): JobCounts {
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return Object.fromEntries(Array.from(names, (name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]))
}
