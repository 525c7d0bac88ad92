import { readingsOf } from './accepted.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { ClockSteps } from './device-clocks.ts'
import type { DeadLetters } from './dead-letter.ts'
import type { Gaps } from './gaps.ts'
import type { HandOn } from './hand-on.ts'
import type { LatestStates } from './latest-states.ts'
import type { IngestMetrics } from './metrics.ts'
import type { RecentValues } from './recent-values.ts'
import type { Progress, Slice } from './slice.ts'
import type { Retry } from './retry.ts'
import type { LocalTimes } from './local-times.ts'
import type { SameTimes } from './same-times.ts'
import type { PlainTexts } from './plain-texts.ts'
import type { PointWriter } from './point-writer.ts'
import type { WatchedStages } from './watched-stages.ts'

/** Decoded points that may wait for their write, in writes: enough that decoding never waits for a store that keeps up. */
const QUEUED_WRITES = 4
/** Points that are worth a request of their own: with 1,000 a server's cost per request is spread (measured). */
const ENOUGH_POINTS = 1000
/** Bytes of payload that weigh as much as a point while they wait: a long text may be a single one. */
const BYTES_PER_POINT = 64

export interface PipelineOptions {
  readonly writer: PointWriter
  readonly localTimes: LocalTimes
  readonly texts: PlainTexts
  readonly sameTimes: SameTimes
  readonly handOn: HandOn
  readonly deadLetters: DeadLetters
  readonly gaps: Gaps
  readonly recent: RecentValues
  readonly latest: LatestStates
  readonly clockSteps: ClockSteps
  readonly checkpoint: Checkpoint
  readonly watched: WatchedStages
  readonly retry: Retry
  readonly metrics: IngestMetrics
  readonly writePoints: number
  /** How long points wait for others to go with; 0 writes at once what there is. */
  readonly lingerMs: number
}

/**
 * Decoded slices on their way into the stores: first in, first out, one write at a time, so that the points of a
 * partition are stored in the order of the log. While one is written the next are decoded and collected; a write takes the
 * batches of all partitions together, and waits a little for more of them when they are few.
 */
export class Pipeline {
  readonly #options: PipelineOptions
  #queue: { readonly slice: Slice; readonly since: number }[] = []
  /** What waits, in points; records without any count too, because they are kept as well. */
  #queued = 0
  #busy = false
  #readings = 0
  readonly #waiting = new Set<() => void>()
  readonly #idle = new Set<() => void>()
  /** Ends the wait for more points. */
  #enough: (() => void) | undefined

  constructor(options: PipelineOptions) {
    this.#options = options
  }

  /** Readings of which at least one field was stored since the start; what is read again is counted again. */
  get readings(): number {
    return this.#readings
  }

  /**
   * Takes a slice; resolves when there is room for more. The bound is four writes of points, plus one slice per
   * partition that was on its way.
   */
  async push(slice: Slice, signal: AbortSignal): Promise<void> {
    this.#queue.push({ slice, since: performance.now() })
    this.#count(weight(slice))
    if (this.#queued >= ENOUGH_POINTS) this.#enough?.()
    this.#start()
    while (this.#queued > QUEUED_WRITES * this.#options.writePoints && !signal.aborted) await this.#room(signal)
  }

  /** Forgets what waits of a partition that was taken away. */
  drop(progress: Progress): void {
    for (const { slice } of this.#queue) {
      if (slice.progress !== progress) continue
      this.#count(-weight(slice))
      this.#giveUp(slice)
    }
    this.#queue = this.#queue.filter(({ slice }) => slice.progress !== progress)
    this.#wake()
  }

  /** Resolves when everything pushed is stored, or the worker's retries were ended. */
  async idle(): Promise<void> {
    if (this.#busy) await new Promise<void>((resolve) => this.#idle.add(resolve))
  }

  #start(): void {
    if (this.#busy) return
    this.#busy = true
    void this.#drain()
  }

  /** Never rejects: all that ends a retry is that the worker closes. */
  async #drain(): Promise<void> {
    const { retry, metrics } = this.#options
    try {
      for (;;) {
        await this.#gather()
        const group = this.#take()
        // Nothing may be awaited from here to the end: a slice pushed in between would be left lying.
        if (group.length === 0) break
        // A defect of ours stops here and is shown, instead of losing what it met.
        await retry.run('worker', () => metrics.useful.storing(() => this.#store(group)))
      }
    } catch (error) {
      if (!retry.ended) throw error
    } finally {
      this.#busy = false
      for (const resolve of this.#idle) resolve()
      this.#idle.clear()
    }
  }

  /** Waits until there are enough points for a write, or the first has waited long enough. */
  async #gather(): Promise<void> {
    const wait = (this.#queue[0]?.since ?? -Infinity) + this.#options.lingerMs - performance.now()
    if (wait > 0 && this.#queued < ENOUGH_POINTS) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, wait)
      this.#enough = resolve
      await promise
      clearTimeout(timer)
      this.#enough = undefined
    }
  }

  /** The slices of the next write. */
  #take(): Slice[] {
    const group: Slice[] = []
    let points = 0
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const { slice } = next
      points += slice.decoded.points.series.length
      if (group.length > 0 && points > this.#options.writePoints) break
      this.#queue.shift()
      this.#count(-weight(slice))
      group.push(slice)
    }
    this.#wake()
    return group
  }

  /** Every step may be done again for the same slices and then changes nothing. */
  async #store(group: readonly Slice[]): Promise<void> {
    const {
      writer,
      texts,
      localTimes,
      sameTimes,
      handOn,
      deadLetters,
      recent,
      gaps,
      latest,
      clockSteps,
      checkpoint,
      metrics,
    } = this.#options
    const started = performance.now()
    // Partitions may be taken away at each step.
    const own = (): Slice[] => group.filter(({ progress }) => !progress.revoked)
    await texts.refuse(own())
    await localTimes.place(own())
    const moved = await sameTimes.place(own())
    const slices = own()
    for (const slice of group) if (slice.progress.revoked) this.#giveUp(slice)
    const tooLarge = await handOn.append(slices)
    const { stored, refusals, doubts, deleted } = await writer.write(slices, tooLarge)
    // Before anything of them is looked at that was received later.
    if (latest.erase(deleted)) recent.forget()
    const oldest = Math.min(...slices.flatMap(({ records }) => records[0]?.ms ?? []))
    if (Number.isFinite(oldest)) metrics.storedLatency.observe(Math.max(0, Date.now() - oldest) / 1000)
    const overwrites = stored.flatMap((part) => recent.look(part))
    await deadLetters.append(slices, refusals, doubts, overwrites)
    await gaps.append(slices.flatMap(({ gap }) => gap ?? []))
    await clockSteps.append(await latest.merge(stored))
    let records = 0
    for (const slice of slices) {
      slice.progress.stored = slice.firstOffset + slice.records.length
      slice.progress.storedMs = slice.records.at(-1)?.ms ?? slice.progress.storedMs
      slice.progress.note = slice.note ?? slice.progress.note
      records += slice.records.length
    }
    this.#readings += stored.reduce((sum, part) => sum + readingsOf(part), 0)
    metrics.writeSeconds.observe((performance.now() - started) / 1000)
    await this.#options.watched.note(slices)
    await checkpoint.note(records + moved)
  }

  #giveUp({ decoded }: Slice): void {
    this.#options.metrics.revoked.inc(decoded.points.series.length)
  }

  #count(points: number): void {
    this.#queued += points
    this.#options.metrics.queuedPoints.set(this.#queued)
  }

  async #room(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    const onAbort = () => resolve()
    signal.addEventListener('abort', onAbort, { once: true })
    await promise
    signal.removeEventListener('abort', onAbort)
    this.#waiting.delete(resolve)
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
  }
}

function weight({ records, decoded }: Slice): number {
  const bytes = records.reduce((sum, { value }) => sum + value.length, 0)
  return Math.max(decoded.points.series.length, records.length, bytes / BYTES_PER_POINT)
}
