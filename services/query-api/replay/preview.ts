import type { TelemetryLog } from '../../../shared/log/port.ts'
import type { JobCounts } from '../../../shared/registry/jobs-port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { formatInstant, kindOf, type Kind, type PointValue } from '../../../shared/telemetry.ts'
import { sumOf, type NotedLetter } from '../jobs/letters-job.ts'
import { letterMatches, type LetterFilter } from '../letters.ts'
import { allLetters, PAGE_LETTERS, readPage } from './letter-pages.ts'
import type { Outcome, Planner, Plan } from './planner.ts'

/** Records of letters that one answer may be made of, and letters among them that are decoded. */
const MAX_SCANNED = 20_000
const MAX_LETTERS = 1_000
/** Points that are shown one by one. */
const MAX_POINTS = 100

/** A point as it would be written: what is there now, and what would be. */
export interface PreviewPoint {
  readonly letter: string
  readonly tenant: string
  readonly device: string
  readonly stream: string
  readonly field: string
  readonly kind: Kind
  readonly time: string
  /** Integers that no double holds, and numbers that JSON has not, are texts. */
  readonly value: string | number | boolean
  /** What is stored in its place; null: nothing. */
  readonly stored: string | number | boolean | null
  readonly outcome: Outcome
}

export interface Preview {
  readonly counts: JobCounts
  readonly points: readonly PreviewPoint[]
  /** False where there are more letters than one answer is made of. */
  readonly complete: boolean
}

interface PreviewOptions {
  readonly filter: LetterFilter
  /** Of those that were asked for: which something would be done about. */
  readonly isWanted: (letter: NotedLetter) => boolean
  /** Undefined: the letters are only counted. */
  readonly planner?: Planner
  readonly signal: AbortSignal
}

/** What a job on these letters would do, for the newest of them; changes nothing. */
export async function preview(
  sources: {
    readonly log: Pick<TelemetryLog, 'offsets' | 'read'>
    readonly registry: Pick<Registry, 'letterNotes' | 'names'>
  },
  { filter, isWanted, planner, signal }: PreviewOptions,
): Promise<Preview> {
  const { log, registry } = sources
  const { names, letterNotes } = registry
  let left = await allLetters(log)
  let counts: JobCounts = { letters: 0, skipped: 0 }
  const points: PreviewPoint[] = []
  for (let scanned = 0; scanned < MAX_SCANNED && (counts['letters'] ?? 0) < MAX_LETTERS; scanned += PAGE_LETTERS) {
    const page = await readPage(log, left, PAGE_LETTERS, signal)
    if (page === undefined) return { counts, points, complete: true }
    left = page.left
    const asked = page.letters.filter(({ letter }) => letterMatches(names, filter, letter))
    const known = await letterNotes.of(asked.map(({ id }) => id))
    const wanted = asked.filter((one) => isWanted({ ...one, note: known.get(one.id), isAgain: false }))
    counts = sumOf(counts, { letters: wanted.length, skipped: asked.length - wanted.length })
    for (const plan of (await planner?.plan(wanted)) ?? []) {
      counts = sumOf(counts, { faulty: plan.faulty })
      for (const outcome of plan.outcomes) counts = sumOf(counts, { [outcome]: 1 })
      if (points.length < MAX_POINTS)
        points.push(...viewPoints(plan, registry.names).slice(0, MAX_POINTS - points.length))
    }
  }
  return { counts, points, complete: left.every(({ from, to }) => from >= to) }
}

function viewPoints({ letter, points, outcomes, stored }: Plan, names: Registry['names']): PreviewPoint[] {
  return points.series.slice(0, MAX_POINTS).map((one, i) => {
    const { tenant, device, stream, field, type } = one
    const before = stored[i]
    return {
      ...{ letter: letter.id, tenant, device: names.nameOf(tenant, device), stream, field, kind: kindOf(type) },
      time: formatInstant({ ms: points.ms[i] ?? 0, ns: points.ns[i] ?? 0 }),
      value: viewValue(points.values[i] ?? 0),
      stored: before === undefined ? null : viewValue(before),
      outcome: outcomes[i] ?? 'stored',
    }
  })
}

function viewValue(value: PointValue): string | number | boolean {
  if (typeof value === 'bigint') return String(value)
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}
