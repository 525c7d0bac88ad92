import type { FieldType, Instant } from '../../telemetry.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { Chunk } from './chunk-row.ts'
import type { Run } from './columns.ts'
import {
  clip,
  firstFrom,
  isSummed,
  merge,
  openedPart,
  parts,
  slice,
  unsealed,
  type Part,
  type SealedSources,
  type Sources,
} from './read.ts'
import { isBefore, isWithin, monthStart, type Span } from './time.ts'

/** A part of a series: points, or a whole chunk that nothing unsealed falls into, so that its summary holds. */
export type Piece =
  | { readonly kind: 'run'; readonly run: Run }
  | { readonly kind: 'chunk'; readonly file: ChunkFile; readonly chunk: Chunk; readonly type: FieldType }

interface OneSeries {
  readonly id: number
  readonly type: FieldType
}

/** The points of a series, or of the two of the numbers of a field, within a span as pieces in time order; sealed and unsealed ones merged. */
export function* pieces(sources: Sources, series: readonly OneSeries[], span: Span): Generator<Piece> {
  const raw = series.map(({ id, type }) => {
    sources.gaps.check(id, span)
    return unsealed(sources.generations, id, type, span)
  })
  for (const part of partsOf(sources, series, span, raw)) {
    if (part.kind === 'run' || isSummed(part, span)) yield part
    else {
      const run = openedPart(part, span)
      if (run.ms.length > 0) yield { kind: 'run', run }
    }
  }
}

/** The parts of a series, or of two as one: `raw` are the unsealed points of each. */
export function* partsOf(
  sources: SealedSources,
  [first, second]: readonly { id: number }[],
  span: Span,
  [rawFirst = NO_POINTS, rawSecond = NO_POINTS]: readonly Run[],
): Generator<Part> {
  if (first === undefined) throw new RangeError('parts of no series')
  if (second === undefined) {
    yield* parts(sources, first, span, rawFirst)
    return
  }
  // Month by month, so that the two of them are never in files far from each other.
  for (const month of monthsOf(sources.files.months(sources.catalogue.tenantOf(first.id), span), span)) {
    const own = parts(sources, first, month, clip(rawFirst, month))
    yield* joinedParts(own, parts(sources, second, month, clip(rawSecond, month)), month)
  }
}

/** A span in pieces that end where a month with a file begins or ends. */
function monthsOf(months: readonly number[], { from, to }: Span): Span[] {
  const starts = [...new Set(months.flatMap((month) => [monthStart(month), monthStart(month + 1)]))]
  const cuts = starts.map((ms) => ({ ms, ns: 0 })).filter(({ ms }) => isWithin(ms, 0, { from, to }) && ms > from.ms)
  return [from, ...cuts].map((start, i) => ({ from: start, to: cuts[i] ?? to }))
}

const NO_POINTS: Run = { ms: [], ns: [], values: [] }

/**
 * The parts of two series as those of one, in time order: of a time that both have the first one's point counts. Those that
 * nothing of the other falls into stay as they are, so that their summaries hold.
 */
function* joinedParts(counting: Generator<Part>, other: Generator<Part>, span: Span): Generator<Part> {
  try {
    yield* inTurn(counting, other, span)
  } finally {
    counting.return(undefined)
    other.return(undefined)
  }
}

function* inTurn(counting: Generator<Part>, other: Generator<Part>, span: Span): Generator<Part> {
  let a = nextOf(counting)
  let b = nextOf(other)
  while (a !== undefined && b !== undefined) {
    if (isEarlier(endOf(a), startOf(b))) {
      yield a
      a = nextOf(counting)
    } else if (isEarlier(endOf(b), startOf(a))) {
      yield b
      b = nextOf(other)
    } else {
      const [runA, runB] = [openedPart(a, span), openedPart(b, span)]
      const until = shorter(runA, runB)
      const [cutA, cutB] = [countUpTo(runA, until), countUpTo(runB, until)]
      const run = merge(slice(runB, 0, cutB), slice(runA, 0, cutA))
      if (run.ms.length > 0) yield { kind: 'run', run }
      a = restOf(runA, cutA) ?? nextOf(counting)
      b = restOf(runB, cutB) ?? nextOf(other)
    }
  }
  for (; a !== undefined; a = nextOf(counting)) yield a
  for (; b !== undefined; b = nextOf(other)) yield b
}

function nextOf(parts: Generator<Part>): Part | undefined {
  const next = parts.next()
  return next.done === true ? undefined : next.value
}

function restOf(run: Run, from: number): Part | undefined {
  return from < run.ms.length ? { kind: 'run', run: slice(run, from, run.ms.length) } : undefined
}

/** Up to where both are known; one of which nothing lies in the span holds nothing up. */
function shorter(a: Run, b: Run): Instant | undefined {
  if (a.ms.length === 0 || b.ms.length === 0) return undefined
  const [endA, endB] = [lastOf(a), lastOf(b)]
  return isEarlier(endA, endB) ? endA : endB
}

function countUpTo(run: Run, until: Instant | undefined): number {
  return until === undefined ? 0 : firstFrom(run, 0, until.ms, until.ns + 1)
}

function lastOf({ ms, ns }: Run): Instant {
  return { ms: ms.at(-1) ?? 0, ns: ns.at(-1) ?? 0 }
}

function startOf(part: Part): Instant {
  return part.kind === 'run' ? { ms: part.run.ms[0] ?? 0, ns: part.run.ns[0] ?? 0 } : part.chunk.start
}

function endOf(part: Part): Instant {
  return part.kind === 'run' ? lastOf(part.run) : part.chunk.end
}

function isEarlier(a: Instant, b: Instant): boolean {
  return isBefore(a.ms, a.ns, b.ms, b.ns)
}
