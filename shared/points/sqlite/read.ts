import type { FieldType } from '../../telemetry.ts'
import type { Catalogue } from './catalogue.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { Chunk } from './chunk-row.ts'
import type { ChunkFiles } from './chunk-files.ts'
import type { Run } from './columns.ts'
import type { Generation } from './generation.ts'
import type { HotGaps } from './hot-gaps.ts'
import { isBefore, isWithin, type Span } from './time.ts'

/** What reading a series needs. */
export interface Sources {
  readonly catalogue: Catalogue
  readonly files: ChunkFiles
  /** Oldest first: points of a later one win. */
  readonly generations: readonly Generation[]
  /** Of the points that were lost before they were sealed. */
  gaps: HotGaps
}

/** A part of a series before its chunk is opened: points, or a chunk and the unsealed points within its time. */
export type Part =
  | { readonly kind: 'run'; readonly run: Run }
  | {
      readonly kind: 'chunk'
      readonly file: ChunkFile
      readonly chunk: Chunk
      readonly type: FieldType
      readonly beside: Run
    }

/** True for a chunk of which every point counts as it is. */
export function isSummed({ chunk, beside }: { chunk: Chunk; beside: Run }, span: Span): boolean {
  return beside.ms.length === 0 && isCovered(chunk, span)
}

/** The points of a chunk within a span, and the unsealed ones beside them, which win. */
export function opened(points: Run, beside: Run, span: Span): Run {
  return merge(clip(points, span), beside)
}

/** The points of a part within a span. */
export function openedPart(part: Part, span: Span): Run {
  return part.kind === 'run' ? part.run : opened(part.file.read(part.chunk, part.type), part.beside, span)
}

/** Where the files are that a series' chunks lie in. */
export type SealedSources = Pick<Sources, 'catalogue' | 'files'>

/**
 * The parts of a series within a span in time order. `raw` are its unsealed points; those before the span are passed
 * over.
 */
export function* parts(sources: SealedSources, { id }: { id: number }, span: Span, raw: Run): Generator<Part> {
  const tenant = sources.catalogue.tenantOf(id)
  const type = sources.catalogue.typeOf(id)
  let at = firstFrom(raw, 0, span.from.ms, span.from.ns)
  for (const month of sources.files.months(tenant, span)) {
    const file = sources.files.open({ tenant, month })
    for (const chunk of file.overlapping(id, span.from, span.to)) {
      const inside = firstFrom(raw, at, chunk.start.ms, chunk.start.ns)
      const behind = firstFrom(raw, inside, chunk.end.ms, chunk.end.ns + 1)
      if (inside > at) yield { kind: 'run', run: slice(raw, at, inside) }
      yield { kind: 'chunk', file, chunk, type, beside: slice(raw, inside, behind) }
      at = behind
    }
  }
  if (at < raw.ms.length) yield { kind: 'run', run: slice(raw, at, raw.ms.length) }
}

/** Unsealed points of a series; those of a later generation win. */
export function unsealed(
  generations: readonly Pick<Generation, 'run'>[],
  id: number,
  type: FieldType,
  span: Span,
): Run {
  let run: Run = { ms: [], ns: [], values: [] }
  for (const generation of generations) run = merge(run, generation.run(id, type, span))
  return run
}

export function isCovered({ start, end }: Chunk, span: Span): boolean {
  return isWithin(start.ms, start.ns, span) && isWithin(end.ms, end.ns, span)
}

/** Two runs as one; where both have a time, the second one's value counts. */
export function merge(a: Run, b: Run): Run {
  if (a.ms.length === 0) return b
  if (b.ms.length === 0) return a
  const run: Run = { ms: [], ns: [], values: [] }
  let i = 0
  let j = 0
  while (i < a.ms.length || j < b.ms.length) {
    const fromA = j >= b.ms.length || (i < a.ms.length && precedes(a, i, b, j))
    if (fromA) push(run, a, i++)
    else {
      if (i < a.ms.length && !precedes(b, j, a, i)) i++
      push(run, b, j++)
    }
  }
  return run
}

/** The points within a span. */
export function clip(run: Run, { from, to }: Span): Run {
  return slice(run, firstFrom(run, 0, from.ms, from.ns), firstFrom(run, 0, to.ms, to.ns))
}

/** The points outside a span. */
export function cutOut(run: Run, { from, to }: Span): Run {
  const before = slice(run, 0, firstFrom(run, 0, from.ms, from.ns))
  return merge(before, slice(run, firstFrom(run, 0, to.ms, to.ns), run.ms.length))
}

export function slice(run: Run, start: number, end: number): Run {
  if (start === 0 && end === run.ms.length) return run
  return { ms: run.ms.slice(start, end), ns: run.ns.slice(start, end), values: run.values.slice(start, end) }
}

/** Index of the first point, from `start` on, that is not before a time. */
export function firstFrom(run: Run, start: number, ms: number, ns: number): number {
  let low = start
  let high = run.ms.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(run.ms[middle] ?? 0, run.ns[middle] ?? 0, ms, ns)) low = middle + 1
    else high = middle
  }
  return low
}

function precedes(a: Run, i: number, b: Run, j: number): boolean {
  return isBefore(a.ms[i] ?? 0, a.ns[i] ?? 0, b.ms[j] ?? 0, b.ns[j] ?? 0)
}

function push(to: Run, from: Run, index: number): void {
  to.ms.push(from.ms[index] ?? 0)
  to.ns.push(from.ns[index] ?? 0)
  const value = from.values[index]
  if (value !== undefined) to.values.push(value)
}
