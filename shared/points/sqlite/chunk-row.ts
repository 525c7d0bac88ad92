import { crc32 } from 'node:zlib'
import type { FieldType, Instant } from '../../telemetry.ts'
import { decodeChunk, encodeChunk, hasChecksum } from './chunk.ts'
import type { Run } from './columns.ts'
import { blob, int, optionalInt } from './row.ts'
import { encodeSummary, type PackedSummary } from './summary.ts'

/** `before` of a chunk of which nobody knows what lies before it. No chunk has this id. */
export const UNKNOWN = -1

/** A chunk as its row tells it; its points are read when they are asked for. */
export interface Chunk {
  readonly id: number
  readonly series: number
  readonly start: Instant
  /** Time of the last point. */
  readonly end: Instant
  readonly count: number
  /** Bytes of the points. */
  readonly size: number
  readonly summary: PackedSummary | undefined
  /**
   * Id of the series' chunk before this one in the file, 0 for the first: a chunk that is missing is missed.
   * Undefined in format 1, which knew neither this nor checksums.
   */
  readonly before: number | undefined
  /** Checksum of all of the above but the size. Undefined in format 1. */
  readonly check: number | undefined
}

/** A chunk with its points. */
export interface FullChunk extends Chunk {
  readonly data: Uint8Array
}

export const CHUNK_COLUMNS =
  'id, series, start_ms, start_ns, end_ms, end_ns, count, length(data) AS size, summary, form, prev, crc'

export const INSERT_CHUNK = `INSERT INTO chunk
  (id, series, start_ms, start_ns, end_ms, end_ns, count, summary, data, prev, crc, form)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

/** The values of {@link INSERT_CHUNK}. */
export function columnsOf(chunk: FullChunk): (number | Uint8Array | null)[] {
  const { id, series, start, end, count, summary, data, before, check } = chunk
  const place = [id, series, start.ms, start.ns, end.ms, end.ns, count]
  return [...place, summary?.bytes ?? null, data, before ?? null, check ?? null, summary?.form ?? null]
}

/** A row of {@link CHUNK_COLUMNS}. Throws a RangeError when its checksum is not right. */
export function toChunk(row: Parameters<typeof int>[0]): Chunk {
  const chunk: Chunk = {
    id: int(row, 'id'),
    series: int(row, 'series'),
    start: { ms: int(row, 'start_ms'), ns: int(row, 'start_ns') },
    end: { ms: int(row, 'end_ms'), ns: int(row, 'end_ns') },
    count: int(row, 'count'),
    size: int(row, 'size'),
    summary: summaryOf(row),
    before: optionalInt(row, 'prev'),
    check: optionalInt(row, 'crc'),
  }
  if (!isWhole(chunk)) throw new RangeError('the checksum of a row of chunks differs')
  return chunk
}

function summaryOf(row: Parameters<typeof int>[0]): PackedSummary | undefined {
  if (row['summary'] instanceof Uint8Array) return { form: optionalInt(row, 'form'), bytes: blob(row, 'summary') }
  if (row['form'] !== null) throw new RangeError('a row of chunks has a form of no summary')
  return undefined
}

/** True when the checksum is right; one of format 1 has none, in neither column. */
export function isWhole(chunk: Chunk): boolean {
  if (chunk.check === undefined || chunk.before === undefined) return chunk.check === chunk.before
  return linkCheck(seedOf(chunk), chunk.before) === chunk.check
}

/** The points as a chunk; there is at least one. */
export function makeChunk(type: FieldType, run: Run, place: { id: number; series: number; before: number }): FullChunk {
  const last = run.ms.length - 1
  const bare = {
    ...place,
    start: { ms: run.ms[0] ?? 0, ns: run.ns[0] ?? 0 },
    end: { ms: run.ms[last] ?? 0, ns: run.ns[last] ?? 0 },
    count: run.ms.length,
    summary: encodeSummary(type, run),
  }
  const seed = seedOf(bare)
  const data = encodeChunk(type, run, seed)
  return { ...bare, check: linkCheck(seed, place.before), data, size: data.length }
}

/** The same chunk behind another one. */
export function linked<T extends Chunk>(chunk: T, before: number): T {
  return { ...chunk, before, check: linkCheck(seedOf(chunk), before) }
}

/** Inverse of {@link makeChunk}. Throws a RangeError when these are not the bytes of the chunk. */
export function pointsOf(chunk: Chunk, data: Uint8Array, type: FieldType): Run {
  const seed = chunk.check === undefined ? undefined : seedOf(chunk)
  const run = decodeChunk({ type, count: chunk.count, startMs: chunk.start.ms }, data, seed)
  const last = chunk.count - 1
  const { start, end } = chunk
  const fits = run.ms[0] === start.ms && run.ns[0] === start.ns && run.ms[last] === end.ms && run.ns[last] === end.ns
  if (!fits) throw new RangeError('the points of a chunk do not begin or end where it says')
  return run
}

/** The bytes. Throws a RangeError when they are not those of the chunk; one of format 1 is only known when it is read. */
export function wholeData<T extends Uint8Array>(chunk: Chunk, data: T): T {
  if (!holds(chunk, data)) throw new RangeError('the checksum of a chunk differs')
  return data
}

/** True when the bytes are those of the chunk, as far as a checksum can tell: one of format 1 has none. */
export function holds(chunk: Chunk, data: Uint8Array): boolean {
  return chunk.check === undefined || hasChecksum(data, seedOf(chunk))
}

/** The checksum that says that `last` is the id of a series' last chunk. */
export function tailCheckOf(series: number, last: number): number {
  return crcOf(series, last) | 0
}

/** What the checksum of the points begins with: a chunk may get another one before it, and keeps its points. */
export function seedOf({ id, series, start, end, count, summary }: Omit<Chunk, 'size' | 'before' | 'check'>): number {
  const form = summary?.form === undefined ? [] : [summary.form]
  const sum = crcOf(id, series, start.ms, start.ns, end.ms, end.ns, count, ...form)
  return summary === undefined ? sum : crc32(summary.bytes, sum)
}

function linkCheck(identity: number, before: number): number {
  return crcOf(identity, before) | 0
}

function crcOf(...numbers: number[]): number {
  return crc32(new Uint8Array(Float64Array.from(numbers).buffer))
}
