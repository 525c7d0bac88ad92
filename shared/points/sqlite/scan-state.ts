import { compareCodePoints } from '../../text-order.ts'
import { join, placeType, type Joined } from '../joined.ts'
import {
  compareScanSeries,
  isAsked,
  isBehind,
  placeBehind,
  placeOfDevice,
  type CheckedScan,
  type ScanPlace,
  type ScanSeries,
  type StoredScanSeries,
} from '../scan-check.ts'
import { seedOf, type Chunk } from './chunk-row.ts'
import type { Run } from './columns.ts'
import type { Generation } from './generation.ts'
import { checkNames } from './nameless.ts'
import { partsOf } from './pieces.ts'
import { isSummed, opened, slice, unsealed, type Part, type Sources } from './read.ts'
import { isBefore, type Span } from './time.ts'
import type { PackedPart, PackedSeries } from './unpack.ts'

/** Work of one step: what a write that comes meanwhile waits for. */
const STEP_MS = 2

/** What one step brings, in bytes of columns, about. */
const STEP_BYTES = 512 * 1024

/** Series that are looked up at once, about a millisecond. */
const PAGE = 512

/** Of a point that is no text: times and value. */
const POINT_BYTES = 20

/** Of a chunk of texts, which is not unpacked here, at most but for one text. */
const TEXT_CHUNK_BYTES = 256 * 1024

type Wanted = Joined<StoredScanSeries & { readonly id: number }>

export interface ScanStep {
  readonly series: readonly PackedSeries[]
  /** Where the next step goes on; undefined when nothing is left. */
  readonly next: ScanPlace | undefined
}

/** What of a generation was written when a scan began. */
class Frozen {
  readonly #generation: Generation
  readonly #count: number

  constructor(generation: Generation) {
    this.#generation = generation
    this.#count = generation.count
  }

  run(...[series, type, span]: Parameters<Generation['run']>): Run {
    return this.#generation.run(series, type, span, this.#count)
  }
}

/**
 * A scan on the side of the thread that owns the files, in steps between the requests. Unsealed points are those of the
 * beginning, because a generation only grows; whoever changes files otherwise than by sealing these points ends it.
 */
export class ScanState {
  readonly #sources: Sources
  readonly #scan: CheckedScan
  readonly #span: Span
  readonly #unsealed: readonly Frozen[]
  /** The next series, as far as they are looked up, and where the looking up goes on. */
  #known: Wanted[] = []
  #lookFrom: ScanPlace
  /** Everything before it has been packed. */
  #place: ScanPlace
  /** Index of the device that is looked up next, among those that were asked for. */
  #device = 0
  /** All series behind the known ones have been seen. */
  #exhausted = false
  /** Unsealed points of the first known series, of each of its parts. */
  #raw: Run[] | undefined

  /** Nothing before `keptFrom` is seen. */
  constructor(sources: Sources, scan: CheckedScan, keptFrom: Span['from']) {
    const { from, to, resume, devices } = scan
    this.#sources = sources
    this.#scan = scan
    this.#span = { from: isBefore(from.ms, from.ns, keptFrom.ms, keptFrom.ns) ? keptFrom : from, to }
    checkNames(sources, scan.tenant, this.#span)
    this.#unsealed = sources.generations.map((generation) => new Frozen(generation))
    this.#place = this.#lookFrom = resume
    if (devices === undefined) return
    const at = devices.findIndex((device) => compareCodePoints(device, resume.device) >= 0)
    this.#device = at < 0 ? devices.length : at
  }

  /** Some of what is left, of which at most about `points` are wanted. */
  step(points: number): ScanStep {
    const until = performance.now() + STEP_MS
    const found: PackedSeries[] = []
    const room = { bytes: STEP_BYTES, points }
    do {
      const [series] = this.#known
      if (series !== undefined) {
        const packed = this.#pack(series, room, until)
        if (packed.parts.length > 0 || !packed.ended) found.push(packed)
      } else if (this.#exhausted) return { series: inOneBuffer(found), next: undefined }
      else this.#lookUp()
    } while (room.bytes > 0 && room.points > 0 && performance.now() < until)
    return { series: inOneBuffer(found), next: this.#place }
  }

  #pack(one: Wanted, room: { bytes: number; points: number }, until: number): PackedSeries {
    const [{ device, stream, field }] = one.parts
    const series = { device, stream, field, type: one.type }
    const isResumed = compareScanSeries(this.#place, series) === 0
    const { time } = this.#place
    const start =
      isResumed && isBefore(this.#span.from.ms, this.#span.from.ns, time.ms, time.ns) ? time : this.#span.from
    const span = { from: start, to: this.#span.to }
    const answered = { ...series, type: one.answered }
    const packed: PackedPart[] = []
    if (isBefore(start.ms, start.ns, span.to.ms, span.to.ns)) {
      for (const { id } of one.parts) this.#sources.gaps.check(id, span)
      this.#raw ??= one.parts.map(({ id, type }) => unsealed(this.#unsealed, id, type, span))
      for (const part of partsOf(this.#sources, one.parts, span, this.#raw)) {
        const isOver = room.bytes <= 0 || room.points <= 0 || (packed.length > 0 && performance.now() >= until)
        if (isOver) return this.#pause({ series: answered, span, parts: packed }, series, part)
        const rest = this.#take(part, span, room, packed)
        if (rest !== undefined) return this.#pause({ series: answered, span, parts: packed }, series, rest)
      }
    }
    this.#place = placeBehind(series)
    this.#raw = undefined
    this.#known.shift()
    return { series: answered, span, parts: packed, ended: true }
  }

  #pause(packed: Omit<PackedSeries, 'ended'>, series: ScanSeries, at: Part): PackedSeries {
    this.#place = { ...series, time: startOf(at) }
    return { ...packed, ended: false }
  }

  /** Packs a part; what is too much of it is handed back. */
  #take(part: Part, span: Span, room: { bytes: number; points: number }, packed: PackedPart[]): Part | undefined {
    if (part.kind === 'run') {
      const count = fitting(part.run, room)
      packed.push({ kind: 'run', run: slice(part.run, 0, count) })
      return count === part.run.ms.length ? undefined : { kind: 'run', run: slice(part.run, count, part.run.ms.length) }
    }
    const { file, chunk, type, beside } = part
    room.bytes -= (type === 'string' ? TEXT_CHUNK_BYTES : chunk.count * POINT_BYTES) + beside.ms.length * POINT_BYTES
    room.points -= chunk.count
    if (chunk.check === undefined) {
      // Of format 1: whether its bytes are whole is known when they have been read, and only here it can be mended.
      packed.push({ kind: 'run', run: opened(file.read(chunk, type), beside, span) })
      return undefined
    }
    const { count, summary, start } = chunk
    if (summary !== undefined && this.#isInOneWindow(part, span))
      packed.push({ kind: 'summary', ms: start.ms, count, type, summary })
    else {
      const inside = beside.ms.length === 0 ? undefined : beside
      const data = file.dataOf(chunk)
      packed.push({ kind: 'chunk', type, count, startMs: start.ms, seed: seedOf(chunk), data, beside: inside })
    }
    return undefined
  }

  #isInOneWindow(part: { chunk: Chunk; beside: Run }, span: Span): boolean {
    const { start, end } = part.chunk
    const { stepMs } = this.#scan
    if (stepMs === undefined || !isSummed(part, span)) return false
    return Math.floor(start.ms / stepMs) === Math.floor(end.ms / stepMs)
  }

  /** Looks up more series, or those of the next device. */
  #lookUp(): void {
    const { tenant, devices, joined } = this.#scan
    const device = devices?.[this.#device]
    if (devices !== undefined && device === undefined) {
      this.#exhausted = true
      return
    }
    if (device !== undefined && device !== this.#lookFrom.device) this.#lookFrom = placeOfDevice(device)
    const from = this.#lookFrom
    const page = this.#sources.catalogue.list({ tenant, device, from, limit: PAGE })
    const isFull = page.length === PAGE
    // The floats of the same field may be on the next page.
    if (isFull && joined && page.at(-1)?.type === 'integer') page.pop()
    // The first ones may be of the field that the last page ended with.
    const isNext = (one: ScanSeries) => compareScanSeries(one, from) + (isBehind(from) ? 0 : 1) > 0
    const asked = page.filter((one) => isAsked(this.#scan, one))
    this.#known = join(asked, joined, isSameField).filter(({ parts: [one], type }) => isNext({ ...one, type }))
    const last = page.at(-1)
    if (isFull && last !== undefined) this.#lookFrom = { ...placeBehind(last), type: placeType(last.type, joined) }
    else if (devices === undefined) this.#exhausted = true
    else this.#device++
    if (this.#known.length === 0) this.#place = this.#lookFrom
  }
}

function isSameField(a: ScanSeries, b: ScanSeries): boolean {
  return a.field === b.field && a.stream === b.stream && a.device === b.device
}

/** The bytes of all chunks side by side: a buffer that goes over to another thread costs as much as many bytes. */
function inOneBuffer(found: readonly PackedSeries[]): PackedSeries[] {
  const size = (part: PackedPart): number => (part.kind === 'chunk' ? part.data.length : 0)
  const all = new Uint8Array(
    found.reduce((sum, { parts }) => sum + parts.reduce((own, part) => own + size(part), 0), 0),
  )
  let at = 0
  return found.map((one) => {
    const moved = one.parts.map((part): PackedPart => {
      if (part.kind !== 'chunk') return part
      all.set(part.data, at)
      at += part.data.length
      return { ...part, data: all.subarray(at - part.data.length, at) }
    })
    return { ...one, parts: moved }
  })
}

function startOf(part: Part): Span['from'] {
  if (part.kind === 'run') return { ms: part.run.ms[0] ?? 0, ns: part.run.ns[0] ?? 0 }
  return part.chunk.start
}

/** How many points of a run there is room for, at least one; they are taken off. */
function fitting({ ms, values }: Run, room: { bytes: number; points: number }): number {
  let count = 0
  while (count < ms.length && (count === 0 || (room.bytes > 0 && room.points > 0))) {
    const value = values[count++]
    room.bytes -= POINT_BYTES + (typeof value === 'string' ? value.length * 2 : 0)
    room.points--
  }
  return count
}
