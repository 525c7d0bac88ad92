import type { Instant, PointValue } from '../../telemetry.ts'
import { typeAfter } from '../aggregate.ts'
import { askedSeries } from '../asked-series.ts'
import type { CheckedQuery, Place } from '../cursor.ts'
import type { Joined } from '../joined.ts'
import { fitting, isOverfull, PAGE_CHARACTERS } from '../page-text.ts'
import type { SeriesType } from '../port.ts'
import type { StoredSeries } from './catalogue.ts'
import type { Run } from './columns.ts'
import { windows } from './fold.ts'
import type { QueryAnswer, SeriesColumns } from './messages.ts'
import { checkNames } from './nameless.ts'
import { pieces } from './pieces.ts'
import { slice, type Sources } from './read.ts'
import { ALL_TIME, isBefore, type Span } from './time.ts'

/** Answers a query from what is stored now. `now` is the moment from which retention counts, in ms since 1970. */
export function runQuery(sources: Sources, query: CheckedQuery, now: number): QueryAnswer {
  const { range, aggregate, resume } = query
  const { asked, leftOut } = askedSeries(query, sources.catalogue.seriesOf(range))
  const span = visibleSpan(sources, range, now)
  if (range.field === undefined || asked.length === 0) checkNames(sources, range.tenant, span)
  const series: SeriesColumns[] = []
  let left = query.limit
  let room = PAGE_CHARACTERS
  for (const one of asked) {
    const rest = resume?.field === one.field && resume.type === one.type ? startingAt(span, resume) : span
    // One point more than wanted says whether there is more, and where.
    const run = collect(sources, one, rest, left + 1, aggregate)
    const fit = fitting(run.values, left, room)
    if (fit.count > 0) {
      const type = aggregate === undefined ? one.answered : typeAfter(aggregate.function, one.answered)
      series.push(toColumns(one.parts[0], type, slice(run, 0, fit.count)))
    }
    if (run.ms.length > fit.count) {
      const time = { ms: run.ms[fit.count] ?? 0, ns: run.ns[fit.count] ?? 0 }
      return { series, next: { field: one.field, type: one.type, time }, leftOut }
    }
    left -= fit.count
    room = fit.left
  }
  return { series, next: undefined, leftOut }
}

/** What of a range is to be seen: points past the retention are not, also while their file is still there. */
function visibleSpan({ catalogue }: Sources, range: CheckedQuery['range'], now: number): Span {
  const { from = ALL_TIME.from, to = ALL_TIME.to } = range
  const keepMs = catalogue.tenants.keepMs(range.tenant)
  const kept = { ms: keepMs === undefined ? 0 : Math.max(0, now - keepMs), ns: 0 }
  return { from: isBefore(from.ms, from.ns, kept.ms, kept.ns) ? kept : from, to }
}

function startingAt({ from, to }: Span, { time }: Place): Span {
  return { from: isBefore(from.ms, from.ns, time.ms, time.ns) ? time : from, to }
}

/** The first `limit` points or windows of a series; fewer where they are more text than a page holds. */
function collect(
  sources: Sources,
  { parts, answered }: Joined<StoredSeries>,
  span: Span,
  limit: number,
  aggregate: CheckedQuery['aggregate'],
): Run {
  const found = pieces(sources, parts, span)
  const run: Run = { ms: [], ns: [], values: [] }
  if (aggregate === undefined) {
    for (const piece of found) {
      append(run, piece.kind === 'run' ? piece.run : piece.file.read(piece.chunk, piece.type))
      if (run.ms.length >= limit || (answered === 'string' && isOverfull(run.values))) break
    }
    return slice(run, 0, Math.min(limit, run.ms.length))
  }
  let characters = 0
  for (const { time, upTo, value } of windows(found, answered, aggregate.function, aggregate.intervalMs)) {
    const { ms, ns } = upTo === undefined ? time : timeOf(sources, parts, { from: time, to: upTo }, value)
    run.ms.push(ms)
    run.ns.push(ns)
    run.values.push(value)
    if (run.ms.length >= limit || characters >= PAGE_CHARACTERS) break
    if (typeof value === 'string') characters += value.length
  }
  return run
}

/** The time of the first point of a chunk that has a value; the span is that of the chunk. */
function timeOf(sources: Sources, series: readonly StoredSeries[], { from, to }: Span, value: PointValue): Instant {
  for (const piece of pieces(sources, series, { from, to: { ms: to.ms, ns: to.ns + 1 } })) {
    const run = piece.kind === 'run' ? piece.run : piece.file.read(piece.chunk, piece.type)
    const index = run.values.indexOf(value)
    if (index >= 0) return { ms: run.ms[index] ?? 0, ns: run.ns[index] ?? 0 }
  }
  return from
}

function append(to: Run, more: Run): void {
  for (const ms of more.ms) to.ms.push(ms)
  for (const ns of more.ns) to.ns.push(ns)
  for (const value of more.values) to.values.push(value)
}

/** The form that crosses to the main thread without being copied. */
function toColumns({ stream, field }: StoredSeries, type: SeriesType, run: Run): SeriesColumns {
  const ns = run.ns.some((rest) => rest !== 0) ? Uint32Array.from(run.ns) : undefined
  return { stream, field, type, ms: Float64Array.from(run.ms), ns, values: toValueColumn(type, run.values) }
}

function toValueColumn(type: SeriesType, values: readonly PointValue[]): SeriesColumns['values'] {
  return type === 'float' ? Float64Array.from(values as readonly number[]) : values
}
