import { SluiceError, toSluiceError } from '../../errors.ts'
import type { PointBatch } from '../../telemetry.ts'
import type { PointsMetrics } from '../points-metrics.ts'
import type { RejectedPoint } from '../port.ts'
import type { Calls, PointsThread } from './messages.ts'
import { BatchPacker, type Packed } from './pack.ts'
import type { SealMetrics } from './seal-metrics.ts'

/** Points on their way to the thread, about 20 MB; further calls wait in line. */
const MAX_IN_FLIGHT = 1_000_000

/** The one line in which all requests stand: a sync must not overtake the writes that were called before it. */
export class RequestLine {
  readonly #thread: PointsThread
  readonly #metrics: PointsMetrics
  readonly #seals: SealMetrics
  readonly #packer = new BatchPacker()
  /** Calls that wait until less is in flight, in order. */
  readonly #waiting: (() => void)[] = []
  #inFlight = 0
  #closing: Promise<void> | undefined

  constructor(thread: PointsThread, metrics: PointsMetrics, seals: SealMetrics) {
    this.#thread = thread
    this.#metrics = metrics
    this.#seals = seals
  }

  /** Posts a batch. It is packed when its turn comes: until then the caller must not change it. */
  async write(batch: PointBatch): Promise<readonly RejectedPoint[]> {
    let packed: Packed | undefined
    try {
      const { rawPoints } = await this.#inTurn(batch.series.length, () => {
        packed = this.#packer.pack(batch)
        const parts = packed.parts.map(({ bytes }) => bytes)
        const memory = parts.map(({ buffer }) => buffer)
        return this.#thread.ask('write', { parts, names: packed.names }, memory)
      })
      this.#seals.rawPoints.set(rawPoints)
      return packed?.rejected ?? []
    } catch (error) {
      // The thread may not know the names that came with it.
      this.#packer.forget()
      throw error
    }
  }

  ask<Q extends keyof Calls>(question: Q, ask: Calls[Q]['ask']): Promise<Calls[Q]['answer']> {
    return this.#inTurn(0, () => this.#thread.ask(question, ask))
  }

  close(): Promise<void> {
    this.#closing ??= this.#enter(0, () => this.#thread.close())
    return this.#closing
  }

  #inTurn<T>(points: number, post: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(new SluiceError('closed', 'the point store is closed'))
    return this.#enter(points, post)
  }

  #enter<T>(points: number, post: () => Promise<T>): Promise<T> {
    if (this.#waiting.length === 0 && !this.#isFull) return this.#post(points, post)
    return new Promise((resolve) => this.#waiting.push(() => resolve(this.#post(points, post))))
  }

  /** Posts in the turn of the call. */
  async #post<T>(points: number, post: () => Promise<T>): Promise<T> {
    this.#count(points)
    try {
      return await post()
    } catch (error) {
      const { code } = toSluiceError(error)
      if (code !== 'closed') this.#metrics.failures.inc({ code })
      throw error
    } finally {
      this.#count(-points)
      while (this.#waiting.length > 0 && !this.#isFull) this.#waiting.shift()?.()
    }
  }

  get #isFull(): boolean {
    return this.#inFlight >= MAX_IN_FLIGHT
  }

  #count(points: number): void {
    this.#inFlight += points
    this.#metrics.waiting.set(this.#inFlight)
  }
}
