import type { Instant } from '../../telemetry.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { Run } from './columns.ts'
import { clip, slice } from './read.ts'
import { behind, END_OF_TIME, isBefore, type Span } from './time.ts'

/**
 * A run in parts that may become chunks where some are missing: none reaches over a gap or a part of one, or nobody would
 * miss those any longer. A point within a gap is a part of its own.
 */
export function betweenGaps(file: ChunkFile, series: number, run: Run): Run[] {
  if (!file.hasGaps) return [run]
  const last = run.ms.length - 1
  const from = { ms: run.ms[0] ?? 0, ns: run.ns[0] ?? 0 }
  const edges = gapEdges(file, series, { from, to: behind({ ms: run.ms[last] ?? 0, ns: run.ns[last] ?? 0 }) })
  const parts = [...edges, END_OF_TIME].map((to, i) => clip(run, { from: edges[i - 1] ?? from, to }))
  return parts.flatMap((part) => (isInGap(file, series, part) ? part.ms.map((_, i) => slice(part, i, i + 1)) : [part]))
}

/** True when chunks are missing where a run begins, and none is there. */
export function isInGap(file: ChunkFile, series: number, run: Run): boolean {
  if (!file.hasGaps) return false
  const start = { ms: run.ms[0] ?? 0, ns: run.ns[0] ?? 0 }
  const [prior] = file.before(series, behind(start))
  if (prior !== undefined && !isBefore(prior.end.ms, prior.end.ns, start.ms, start.ns)) return false
  const [next] = file.after(series, start)
  const known = next === undefined ? file.tailOf(series) : next.before
  return known !== undefined && known !== (prior?.id ?? 0)
}

/** Moments within a span at which a stretch begins or ends of which chunks are missing, in order. */
function gapEdges(file: ChunkFile, series: number, { from, to }: Span): Instant[] {
  const [prior] = file.before(series, from)
  const [next] = file.after(series, to)
  const inside = [...file.overlapping(series, from, to, 'present')].filter(({ id }) => id !== prior?.id)
  const known = [prior, ...inside, next].filter((chunk) => chunk !== undefined)
  const edges = known.flatMap((chunk, i) => {
    const last = known[i - 1]
    const isLinked = chunk === prior || chunk.before === undefined || chunk.before === (last?.id ?? 0)
    return isLinked ? [] : [...(last === undefined ? [] : [behind(last.end)]), chunk.start]
  })
  const last = known.at(-1)
  const isOpen = next === undefined && last !== undefined && file.tailOf(series) !== last.id
  const all = isOpen ? [...edges, behind(last.end)] : edges
  return all.filter(({ ms, ns }) => isBefore(from.ms, from.ns, ms, ns) && isBefore(ms, ns, to.ms, to.ns))
}
