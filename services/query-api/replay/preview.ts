import type { JobCounts } from '../../../shared/registry/jobs-port.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { formatInstant, kindOf, type Kind } from '../../../shared/telemetry.ts'
import { sumOf, type NotedLetter } from '../jobs/letters-job.ts'
import type { LetterFilter } from '../letters.ts'
import { jsonValue } from '../live-events.ts'
import { newestNoted, type LetterSources } from './noted-letters.ts'
import type { Outcome, Planner, Plan } from './planner.ts'

/** Letters that are decoded for one answer, but for what the last page has more. */
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
  sources: LetterSources,
  { filter, isWanted, planner, signal }: PreviewOptions,
): Promise<Preview> {
  const { names } = sources.registry
  let counts: JobCounts = { letters: 0, skipped: 0 }
  const points: PreviewPoint[] = []
  let complete = true
  for await (const { letters, isLast } of newestNoted(sources, filter, signal)) {
    complete = isLast
    const wanted = letters.filter((one) => isWanted({ ...one, isAgain: false }))
    counts = sumOf(counts, { letters: wanted.length, skipped: letters.length - wanted.length })
    for (const plan of (await planner?.plan(wanted)) ?? []) {
      counts = sumOf(counts, countsOf(plan))
      if (points.length < MAX_POINTS) points.push(...viewPoints(plan, names).slice(0, MAX_POINTS - points.length))
    }
    if ((counts['letters'] ?? 0) >= MAX_LETTERS) break
  }
  return { counts, points, complete }
}

function countsOf({ faulty, outcomes }: Plan): JobCounts {
  const counts: Record<string, number> = { faulty }
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}

function viewPoints({ letter, points, outcomes, stored }: Plan, names: Registry['names']): PreviewPoint[] {
  return points.series.slice(0, MAX_POINTS).map((one, i) => {
    const { tenant, device, stream, field, type } = one
    const before = stored[i]
    return {
      ...{ letter: letter.id, tenant, device: names.nameOf(tenant, device), stream, field, kind: kindOf(type) },
      time: formatInstant({ ms: points.ms[i] ?? 0, ns: points.ns[i] ?? 0 }),
      value: jsonValue(points.values[i] ?? 0),
      stored: before === undefined ? null : jsonValue(before),
      outcome: outcomes[i] ?? 'stored',
    }
  })
}
