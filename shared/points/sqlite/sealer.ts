import type { SluiceError } from '../../errors.ts'
import { Damage } from './damage.ts'
import { toStoreError } from './failure.ts'
import { Generation } from './generation.ts'
import { listFiles } from './hot-lists.ts'
import type { HotDatabase } from './hot.ts'
import { named } from './mend.ts'
import type { Sources } from './read.ts'
import { seal, type Sealed } from './seal.ts'

/** One generation is filled while one is sealed: what bounds the memory and the hot database. */
const MAX_GENERATIONS = 2

/** Strings and large integers of a generation, in bytes of memory, from which it is full whatever its points. */
const MAX_EXTRA_BYTES = 64 * 1024 * 1024

/** After a failure, most likely a full disk, sealing rests this long. */
const RETRY_MS = 5_000

/** Batches deleted in one step. */
const DROP_BATCHES = 256

interface Limits {
  readonly sealAfterPoints: number
  readonly sealAfterMs: number
}

/** Decides when unsealed points are sealed, and does it in bounded steps between the requests. */
export class Sealer {
  readonly #hot: HotDatabase
  readonly #sources: Sources
  readonly #generations: Generation[]
  readonly #limits: Limits
  readonly #prepare: () => void
  #work: Generator<number> | undefined
  /** Points that the sealing under way has not dealt with. */
  #left = 0
  #paused = false
  #retryAt = 0
  #failure: SluiceError | undefined
  #begunUpTo = 0
  #workMs = 0
  #sealed: Sealed = { chunks: 0, overwritten: 0 }
  #durations: number[] = []

  /** `generations` is the list that writes add to the last of. `prepare` runs before each sealing; it may throw. */
  constructor(hot: HotDatabase, sources: Sources, generations: Generation[], limits: Limits, prepare: () => void) {
    this.#hot = hot
    this.#sources = sources
    this.#generations = generations
    this.#limits = limits
    this.#prepare = prepare
  }

  /** False while a write would need a sealing that is paused. */
  get hasRoom(): boolean {
    return !this.#paused || !this.#isFull() || this.#generations.length < MAX_GENERATIONS
  }

  /** Before a write: starts a new generation when the last one is full, which may need an older one to be finished. */
  makeRoom(): void {
    while (this.#isFull() && this.#generations.length >= MAX_GENERATIONS) this.#finish()
    this.rotateWhenFull()
  }

  rotateWhenFull(): void {
    if (this.#isFull()) this.#generations.push(new Generation())
  }

  /** There is something to seal, or the rest of a sealing to do. */
  get isDue(): boolean {
    if (this.#paused || Date.now() < this.#retryAt) return false
    return this.#work !== undefined || (this.dueAt ?? Infinity) <= Date.now()
  }

  /**
   * Seals for about this long, or longer when the next generation fills faster: then every write waits a little, and
   * none waits for a whole sealing. True while there is more to do. Throws when it cannot; it is due again after a rest.
   */
  step(budgetMs: number): boolean {
    const until = performance.now() + budgetMs
    while (this.isDue) {
      this.#advance()
      if (performance.now() >= until && !this.#isBehind) break
    }
    return this.isDue
  }

  /** When the last generation will be old enough, in ms since 1970; undefined while it is empty. */
  get dueAt(): number | undefined {
    if (this.#generations.length > 1 || this.#isFull()) return Math.max(Date.now(), this.#retryAt)
    const since = this.#generations.at(-1)?.since
    return since === undefined ? undefined : Math.max(since + this.#limits.sealAfterMs, this.#retryAt)
  }

  /** Number of the last write that was sealed or is being sealed, also if that was given up. */
  get begunUpTo(): number {
    return this.#begunUpTo
  }

  /** What the sealings finished since the last call have done, and their working seconds. */
  takeFigures(): { sealed: Sealed; seconds: number[] } {
    const figures = { sealed: this.#sealed, seconds: this.#durations }
    this.#sealed = { chunks: 0, overwritten: 0 }
    this.#durations = []
    return figures
  }

  /** Drops a sealing that is half done: it starts again from the beginning, with what is unsealed then. */
  abort(): void {
    this.#work = undefined
    this.#sources.files.rollback()
  }

  /** No sealing until the returned function is called: the files stay as they are now. */
  pause(): () => void {
    this.abort()
    this.#paused = true
    return () => {
      this.#paused = false
    }
  }

  #finish(): void {
    // Not a whole attempt again for each write that a full disk turns away.
    if (this.#failure !== undefined && Date.now() < this.#retryAt) throw this.#failure
    while (!this.#advance());
  }

  /** One step; true when a sealing was finished with it. */
  #advance(): boolean {
    const began = performance.now()
    try {
      if (this.#work === undefined) {
        this.#work = this.#sealOldest()
        this.#left = this.#generations[0]?.count ?? 0
      }
      const step = this.#work.next()
      if (step.done !== true) {
        this.#left -= step.value
        return false
      }
    } catch (error) {
      this.abort()
      // It begins again with the file as it was repaired.
      if (error instanceof Damage && this.#sources.files.repair(error)) return false
      this.#retryAt = Date.now() + RETRY_MS
      this.#failure = toStoreError(named(error, this.#sources))
      throw this.#failure
    } finally {
      this.#workMs += performance.now() - began
    }
    this.#work = undefined
    this.#failure = undefined
    this.#durations.push(this.#workMs / 1000)
    this.#workMs = 0
    return true
  }

  *#sealOldest(): Generator<number> {
    this.#prepare()
    if (this.#generations.length === 1) this.#generations.push(new Generation())
    const [oldest] = this.#generations
    if (oldest === undefined) return
    this.#begunUpTo = oldest.lastSeq
    // The files will name series by id: a power cut must not take the names and leave the ids to others.
    this.#hot.sync()
    const sealed = yield* seal(this.#sources, oldest, Date.now())
    // Before a batch goes: a file that is lost later on is missed.
    this.#hot.transaction(() => listFiles(this.#hot.db, this.#sources.files.committed()))
    // All chunks are durable: from here on the batches are not needed, and neither is the copy in memory.
    this.#generations.shift()
    this.#sealed.chunks += sealed.chunks
    this.#sealed.overwritten += sealed.overwritten
    while (this.#hot.dropBatches(oldest.lastSeq, DROP_BATCHES)) yield 0
  }

  get #isBehind(): boolean {
    const [oldest, next] = this.#generations
    if (this.#work === undefined || oldest === undefined || next === undefined) return false
    return this.#left / oldest.count > 1 - next.count / this.#limits.sealAfterPoints
  }

  #isFull(): boolean {
    const last = this.#generations.at(-1)
    return last !== undefined && (last.count >= this.#limits.sealAfterPoints || last.extraBytes >= MAX_EXTRA_BYTES)
  }
}
