import type { FieldType } from '../../telemetry.ts'
import type { ChunkFile } from './chunk-file.ts'
import { betweenGaps, isInGap } from './chunk-gaps.ts'
import type { Chunk } from './chunk-row.ts'
import type { FileName } from './chunk-files.ts'
import type { Run } from './columns.ts'
import type { Generation, Stretch } from './generation.ts'
import { merge, slice, type Sources } from './read.ts'
import { END_OF_TIME, isBefore, monthOf, monthStart } from './time.ts'

/** Points of a full chunk: large enough to compress well, small enough that opening one takes some 50 us. */
const CHUNK_POINTS = 500

/** The last chunk of a run may be this large before it is two. */
const MAX_CHUNK_POINTS = 750

/** Compressed bytes from which a chunk is full whatever its count: long strings. */
const FULL_BYTES = 32 * 1024

/** Characters of text in one chunk. */
const CHUNK_TEXT = 128 * 1024

/**
 * Small chunks in a row that are left as they are: merging each time would write a series' points again with every
 * few new ones, as many times as there are seals in a full chunk; this way it is about four times.
 */
const SMALL_CHUNKS = 8

/** Points of one series that are written between two chances for others: about 5 ms. */
const STEP_POINTS = 20_000

/** What a sealing has done. */
export interface Sealed {
  chunks: number
  /** Points of chunks that got another value. */
  overwritten: number
}

/** Stretches of one file's points, grouped by series: three columns. */
interface FilePoints {
  readonly series: number[]
  readonly start: number[]
  readonly count: number[]
}

/**
 * Moves the points of a generation into chunks, durably, file by file. Pauses (yields) between bounded steps, at each
 * of which what queries see is whole: unsealed points win over chunks, and they hold the same. Starting it again after
 * an error or a crash does no harm for the same reason. Yields how many points each step has dealt with.
 */
export function* seal(sources: Sources, generation: Generation, now: number): Generator<number, Sealed> {
  const { catalogue, files } = sources
  const sealed = { chunks: 0, overwritten: 0 }
  for (const [tenant, series] of byTenant(generation, catalogue.tenantOf.bind(catalogue))) {
    const keepMs = catalogue.tenants.keepMs(tenant)
    for (const [month, points] of yield* byMonth(generation, series)) {
      // Expired while it was not sealed: nobody sees it, and its file would go at once.
      if (keepMs !== undefined && monthStart(month + 1) <= now - keepMs) continue
      yield* sealFile(sources, generation, { tenant, month }, points, sealed)
      files.commit({ tenant, month })
      yield 0
    }
  }
  return sealed
}

function byTenant(generation: Generation, tenantOf: (series: number) => number): Map<number, number[]> {
  const tenants = new Map<number, number[]>()
  for (const series of generation.series) {
    const tenant = tenantOf(series)
    const known = tenants.get(tenant)
    if (known === undefined) tenants.set(tenant, [series])
    else known.push(series)
  }
  // Ids ascending: neighbours in the index of the file.
  for (const series of tenants.values()) series.sort((a, b) => a - b)
  return tenants
}

/** What goes into which month, months ascending. */
function* byMonth(generation: Generation, allSeries: readonly number[]): Generator<number, [number, FilePoints][]> {
  const months = new Map<number, FilePoints>()
  let walked = 0
  for (const series of allSeries) {
    let month = NaN
    let [begin, end] = [0, 0]
    let points: FilePoints | undefined
    generation.visit(series, (index, ms) => {
      walked++
      if (ms < begin || ms >= end) {
        month = monthOf(ms)
        begin = monthStart(month)
        end = monthStart(month + 1)
        points = months.get(month) ?? { series: [], start: [], count: [] }
        months.set(month, points)
        points.series.push(series)
        points.start.push(index)
        points.count.push(0)
      }
      if (points !== undefined) points.count[points.count.length - 1] = (points.count.at(-1) ?? 0) + 1
    })
    if (walked > STEP_POINTS) {
      walked = 0
      yield 0
    }
  }
  return [...months].sort(([a], [b]) => a - b)
}

function* sealFile(
  sources: Sources,
  generation: Generation,
  name: FileName,
  points: FilePoints,
  sealed: Sealed,
): Generator<number> {
  for (let at = 0; at < points.series.length;) {
    const series = points.series[at] ?? 0
    const type = sources.catalogue.typeOf(series)
    const stretches: Stretch[] = []
    for (; points.series[at] === series; at++) {
      stretches.push({ start: points.start[at] ?? 0, count: points.count[at] ?? 0 })
    }
    const run = generation.collect(type, stretches)
    for (let start = 0; start < run.ms.length; start += STEP_POINTS) {
      const end = Math.min(start + STEP_POINTS, run.ms.length)
      // Opened each time: others may have used the files in between.
      const file = sources.files.open(name)
      file.begin()
      for (const part of betweenGaps(file, series, slice(run, start, end))) sealRun(file, series, type, part, sealed)
      yield end - start
    }
  }
}

/** Adds points of one series to a file: chunks that they overlap, and small ones beside, are written anew with them. */
function sealRun(file: ChunkFile, series: number, type: FieldType, run: Run, done: Sealed): void {
  const { before, overlapping, after } = neighbours(file, series, run)
  const beside = [...before, ...after]
  const total = beside.reduce((sum, { count }) => sum + count, run.ms.length)
  const worthIt = beside.length + 1 >= SMALL_CHUNKS || total >= CHUNK_POINTS
  const old = [...(worthIt ? before.reverse() : []), ...overlapping, ...(worthIt ? after : [])]
  let sealed: Run = { ms: [], ns: [], values: [] }
  for (const chunk of old) sealed = merge(sealed, file.read(chunk, type))
  const merged = merge(sealed, run)
  if (merged.ms.length < sealed.ms.length + run.ms.length) done.overwritten += countOverwritten(sealed, merged)
  const parts = split(type, merged)
  file.replace(series, type, old, parts)
  done.chunks += parts.length
}

/** How many points of a run have another value in one that holds all its times. */
function countOverwritten(before: Run, after: Run): number {
  let count = 0
  let j = 0
  for (let i = 0; i < before.ms.length; i++, j++) {
    while (j < after.ms.length && (after.ms[j] !== before.ms[i] || after.ns[j] !== before.ns[i])) j++
    if (after.values[j] !== before.values[i]) count++
  }
  return count
}

interface Neighbours {
  /** Small chunks right before, latest first. */
  readonly before: Chunk[]
  readonly overlapping: readonly Chunk[]
  /** Small chunks right after, earliest first. */
  readonly after: readonly Chunk[]
}

function neighbours(file: ChunkFile, series: number, run: Run): Neighbours {
  const last = run.ms.length - 1
  const start = { ms: run.ms[0] ?? 0, ns: run.ns[0] ?? 0 }
  if (isInGap(file, series, run)) return { before: [], overlapping: [], after: [] }
  // The common case takes one look: all that is there lies before.
  const { first: latest, small } = smallOnes(file.before(series, END_OF_TIME))
  if (latest === undefined || isBefore(latest.end.ms, latest.end.ns, start.ms, start.ns)) {
    return { before: small, overlapping: [], after: [] }
  }
  const behind = { ms: run.ms[last] ?? 0, ns: (run.ns[last] ?? 0) + 1 }
  const overlapping = file.present(series, start, behind)
  const before = smallOnes(file.before(series, overlapping[0]?.start ?? start)).small
  const after = smallOnes(file.after(series, overlapping.at(-1)?.start ?? start)).small
  if (!file.hasGaps || overlapping.length === 0) return { before, overlapping, after }
  const [first, end] = [overlapping[0], overlapping.at(-1)]
  const isLinked = { before: first?.before === before[0]?.id, after: after[0]?.before === end?.id }
  return { before: isLinked.before ? before : [], overlapping, after: isLinked.after ? after : [] }
}

/** The first of some chunks, and the small ones up to the first full one. */
function smallOnes(chunks: Iterable<Chunk>): { first: Chunk | undefined; small: Chunk[] } {
  const small: Chunk[] = []
  let first: Chunk | undefined
  for (const chunk of chunks) {
    first ??= chunk
    if (small.length >= SMALL_CHUNKS || chunk.count >= CHUNK_POINTS || chunk.size >= FULL_BYTES) break
    small.push(chunk)
  }
  return { first, small }
}

/** Runs of the length of a chunk; the last one may be shorter. */
function split(type: FieldType, run: Run): Run[] {
  const parts: Run[] = []
  for (let start = 0; start < run.ms.length;) {
    const left = run.ms.length - start
    let end = left < MAX_CHUNK_POINTS ? run.ms.length : start + CHUNK_POINTS
    if (type === 'string') end = textEnd(run, start, end)
    parts.push(slice(run, start, end))
    start = end
  }
  return parts
}

function textEnd({ values }: Run, start: number, end: number): number {
  let text = 0
  for (let i = start; i < end; i++) {
    text += String(values[i]).length
    if (text > CHUNK_TEXT && i > start) return i
  }
  return end
}
