// Invariant: the chunks of one series do not overlap, each names the one before it, and `tail` names the last. So what a
// query is answered from is whole: whatever a damaged page hides is missed by the next one, or by the tail.
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { FieldType, Instant } from '../../telemetry.ts'
import {
  columnsOf,
  INSERT_CHUNK,
  linked,
  makeChunk,
  pointsOf,
  tailCheckOf,
  toChunk,
  UNKNOWN,
  wholeData,
  type Chunk,
} from './chunk-row.ts'
import { prepareChunkFile } from './chunk-schema.ts'
import { AFTER, ANY, BEFORE, COVERING, PREV, RANGE, STATE } from './chunk-statements.ts'
import type { Run } from './columns.ts'
import { asDamage, Damage } from './damage.ts'
import { blob, int, one, optionalInt, type Row } from './row.ts'
import { decodeSummary, type Summary } from './summary.ts'
import { ALL_TIME, behind, END_OF_TIME, isBefore, type Span } from './time.ts'

/**
 * The chunks of one tenant and month. One connection at a time has the file (the folder's lock sees to that), so a
 * rollback journal does: nothing is left beside the file after a commit, and with synchronous=FULL a commit survives a
 * power cut (a truncated journal is synced, see pager_end_transaction of SQLite). What cannot be what was written is
 * thrown as {@link Damage}.
 */
export class ChunkFile {
  /** Chunks were missing when the file was repaired. */
  readonly hasGaps: boolean
  readonly #file: string
  readonly #db: DatabaseSync
  readonly #covering: StatementSync
  /** One for each series that is read at once: the two of a field with integers and floats are. */
  readonly #ranges: StatementSync[] = []
  readonly #before: StatementSync
  readonly #after: StatementSync
  readonly #data: StatementSync
  readonly #insert: StatementSync
  readonly #delete: StatementSync
  readonly #link: StatementSync
  readonly #tail: StatementSync
  readonly #setTail: StatementSync
  readonly #dropTail: StatementSync
  readonly #hasTails: boolean
  #nextId: number

  constructor(file: string) {
    this.#file = file
    this.#db = new DatabaseSync(file, { timeout: 0 })
    try {
      prepareChunkFile(this.#db, file)
      this.#covering = this.#db.prepare(COVERING)
      this.#before = this.#db.prepare(BEFORE)
      this.#after = this.#db.prepare(AFTER)
      this.#data = this.#db.prepare('SELECT data FROM chunk WHERE id = ?')
      this.#insert = this.#db.prepare(INSERT_CHUNK)
      this.#delete = this.#db.prepare('DELETE FROM chunk WHERE id = ?')
      this.#link = this.#db.prepare('UPDATE chunk SET prev = ?, crc = ? WHERE id = ?')
      this.#tail = this.#db.prepare('SELECT last, crc FROM tail WHERE series = ?')
      this.#setTail = this.#db.prepare('INSERT OR REPLACE INTO tail VALUES (?, ?, ?)')
      this.#dropTail = this.#db.prepare('DELETE FROM tail WHERE series = ?')
      const state = one(this.#db.prepare(STATE))
      this.hasGaps = int(state, 'gaps') === 1
      this.#hasTails = int(state, 'tails') === 1
      this.#nextId = Math.max(int(state, 'first_id'), Number(state['last'] ?? 0) + 1)
    } catch (error) {
      this.#db.close()
      throw asDamage(error, file)
    }
  }

  get isChanging(): boolean {
    return this.#db.isTransaction
  }

  /** Begins a transaction unless one is open: many chunks share one commit. */
  begin(): void {
    if (!this.#db.isTransaction) this.#do(() => this.#db.exec('BEGIN IMMEDIATE'))
  }

  commit(): void {
    if (this.#db.isTransaction) this.#do(() => this.#db.exec('COMMIT'))
  }

  rollback(): void {
    if (this.#db.isTransaction) this.#do(() => this.#db.exec('ROLLBACK'))
  }

  /** Chunks with points from `from` on and before `to`, in time order. To the end, they are all: else {@link Damage} is thrown, unless those present will do. */
  *overlapping(series: number, from: Instant, to: Instant, what: 'all' | 'present' = 'all'): Generator<Chunk> {
    let last: Chunk | undefined
    const range = this.#ranges.pop() ?? this.#db.prepare(RANGE)
    try {
      const covering = this.#covering.get(series, from.ms, from.ns)
      const begin = covering === undefined ? from : { ms: int(covering, 'start_ms'), ns: int(covering, 'start_ns') }
      for (const row of range.iterate(series, begin.ms, begin.ns)) {
        const chunk = toChunk(row)
        // What lies before the covering one is of no concern.
        const isLinked = chunk.before === undefined || chunk.before === (last?.id ?? 0)
        const isMissing = what === 'all' && !isLinked && (last !== undefined || covering === undefined)
        if (isMissing) this.#miss(series, last, { from, to }, chunk)
        if (!isBefore(chunk.start.ms, chunk.start.ns, to.ms, to.ns)) return
        if (!isBefore(chunk.end.ms, chunk.end.ns, from.ms, from.ns)) yield chunk
        last = chunk
      }
      if (what === 'all' && this.tailOf(series) !== (last?.id ?? 0)) this.#miss(series, last, { from, to }, undefined)
    } catch (error) {
      throw asDamage(error, this.#file, { series, span: { from: last === undefined ? from : behind(last.end), to } })
    } finally {
      this.#ranges.push(range)
    }
  }

  /** The same for whoever changes them: once it is known that chunks are missing, those that are there will do. */
  present(series: number, from: Instant, to: Instant): Chunk[] {
    return [...this.overlapping(series, from, to, this.hasGaps ? 'present' : 'all')]
  }

  /** Chunks that start before a time, latest first, as far as none is missing between them. */
  before(series: number, { ms, ns }: Instant): Generator<Chunk> {
    return this.#chain(this.#before.iterate(series, ms, ns), (later, earlier) => later.before === earlier.id)
  }

  /** Chunks that start after a time, earliest first, as far as none is missing between them. */
  after(series: number, { ms, ns }: Instant): Generator<Chunk> {
    return this.#chain(this.#after.iterate(series, ms, ns), (earlier, later) => later.before === earlier.id)
  }

  read(chunk: Chunk, type: FieldType): Run {
    return this.#do(() => pointsOf(chunk, blob(one(this.#data, chunk.id), 'data'), type), chunk)
  }

  /** The bytes of {@link read}, whole as far as their checksum tells. */
  dataOf(chunk: Chunk): Uint8Array<ArrayBuffer> {
    return this.#do(() => wholeData(chunk, blob(one(this.#data, chunk.id), 'data')), chunk)
  }

  summaryOf(chunk: Chunk, type: FieldType): Summary | undefined {
    const { summary } = chunk
    return summary === undefined ? undefined : this.#do(() => decodeSummary(type, summary), chunk)
  }

  /**
   * Within a transaction: puts runs of points, in time order, in the place of chunks that lie side by side with none
   * missing between them; of none, where nothing is. What was missing before or behind them is missed still.
   */
  replace(series: number, type: FieldType, old: readonly Chunk[], runs: readonly Run[]): void {
    const [first, last] = [old[0], old.at(-1)]
    const begin = first?.start ?? { ms: runs[0]?.ms[0] ?? 0, ns: runs[0]?.ns[0] ?? 0 }
    this.#do(() => {
      const [prior] = this.before(series, begin)
      const [next] = this.after(series, last?.start ?? begin)
      const known = next === undefined ? this.tailOf(series) : next.before
      // Read again: it may have got another one before it since the caller looked.
      const own = first === undefined ? known : optionalInt(one(this.#db.prepare(PREV), first.id), 'prev')
      const before = own ?? prior?.id ?? 0
      const isLinked = known === undefined || known === (last?.id ?? prior?.id ?? 0)
      for (const chunk of old) this.#delete.run(chunk.id)
      let id = before
      for (const run of runs.filter(({ ms }) => ms.length > 0)) {
        const chunk = makeChunk(type, run, { id: this.#nextId++, series, before: id })
        this.#insert.run(...columnsOf(chunk))
        id = chunk.id
      }
      if (next === undefined) {
        // With nothing behind them, new points are the last ones, whatever is missing before them.
        if (isLinked || first === undefined) this.#end(series, id)
      } else if (isLinked) this.#linkTo(next, id)
    })
  }

  /** Within a transaction: where an empty span reaches from chunk to chunk, or to an end of `all`, nothing is missed. */
  forget(series: number, { from, to }: Span, all: Span): void {
    this.#do(() => {
      const [prior] = this.before(series, from)
      const [next] = this.after(series, { ms: from.ms, ns: from.ns - 1 })
      const begin = prior === undefined ? all.from : behind(prior.end)
      const end = next?.start ?? all.to
      if (isBefore(begin.ms, begin.ns, from.ms, from.ns) || isBefore(to.ms, to.ns, end.ms, end.ns)) return
      if (next === undefined) this.#end(series, prior?.id ?? 0)
      else this.#linkTo(next, prior?.id ?? 0)
    })
  }

  /** Id of the last chunk of a series; 0 when it has none. */
  tailOf(series: number): number {
    return this.#do(() => {
      const row = this.#tail.get(series)
      if (row === undefined) return this.#hasTails ? 0 : UNKNOWN
      const last = int(row, 'last')
      if (int(row, 'crc') !== tailCheckOf(series, last)) throw new RangeError('the checksum of a last chunk differs')
      return last
    })
  }

  get isEmpty(): boolean {
    return this.#do(() => this.#db.prepare(ANY).get() === undefined)
  }

  close(): void {
    this.#db.close()
  }

  *#chain(rows: Iterable<Row>, areLinked: (one: Chunk, next: Chunk) => boolean): Generator<Chunk> {
    let last: Chunk | undefined
    try {
      for (const row of rows) {
        const chunk = toChunk(row)
        const isOld = last?.before === undefined || chunk.before === undefined
        if (last !== undefined && !isOld && !areLinked(last, chunk)) return
        yield chunk
        last = chunk
      }
    } catch (error) {
      throw asDamage(error, this.#file)
    }
  }

  #linkTo(chunk: Chunk, before: number): void {
    // One of format 1 stays as it is: it knows nothing of those before it.
    if (chunk.check !== undefined) this.#link.run(before, linked(chunk, before).check ?? null, chunk.id)
  }

  #end(series: number, id: number): void {
    if (id === 0) this.#dropTail.run(series)
    else this.#setTail.run(series, id, tailCheckOf(series, id))
  }

  /** Throws when the chunk that is missing between two others may have held something of a span. */
  #miss(series: number, last: Chunk | undefined, { from, to }: Span, next: Chunk | undefined): void {
    const span = { from: last === undefined ? ALL_TIME.from : behind(last.end), to: next?.start ?? END_OF_TIME }
    if (!isBefore(span.from.ms, span.from.ns, to.ms, to.ns) || !isBefore(from.ms, from.ns, span.to.ms, span.to.ns))
      return
    throw new Damage(this.#file, 'a chunk is missing', { series, span })
  }

  #do<T>(work: () => T, chunk?: Chunk): T {
    try {
      return work()
    } catch (error) {
      const lost = chunk && { series: chunk.series, span: { from: chunk.start, to: behind(chunk.end) } }
      throw asDamage(error, this.#file, lost)
    }
  }
}
