import type { Worker } from 'node:worker_threads'
import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { PointBatch } from '../../telemetry.ts'
import type { PointsMetrics } from '../points-metrics.ts'
import type { RejectedPoint } from '../port.ts'
import type { Answers, Conflict, Posted, Reply, Request } from './messages.ts'
import type { BatchPacker } from './pack.ts'
import type { SealMetrics } from './seal-metrics.ts'

/** Points on their way to the thread, about 20 MB; further calls wait in line. */
const MAX_IN_FLIGHT = 1_000_000

interface Waiting {
  readonly resolve: (answer: Answers[keyof Answers]) => void
  readonly reject: (error: SluiceError) => void
}

export interface Written {
  readonly rejected: RejectedPoint[]
  readonly conflicts: readonly Conflict[]
  readonly indexOf: (part: number, index: number) => number
}

/** The main thread's end of the store: posts requests in the order of the calls and hands each its answer. */
export class ThreadClient {
  readonly #worker: Worker
  readonly #metrics: PointsMetrics
  readonly #seals: SealMetrics
  readonly #waiting = new Map<number, Waiting>()
  /** Calls that wait until less is in flight, in order. */
  readonly #line: (() => void)[] = []
  readonly opened: Promise<void>
  #lastId = 0
  #inFlight = 0
  #broken: SluiceError | undefined
  #closing: Promise<void> | undefined

  constructor(worker: Worker, logger: Logger, metrics: PointsMetrics, seals: SealMetrics) {
    this.#worker = worker
    this.#metrics = metrics
    this.#seals = seals
    this.opened = new Promise((resolve, reject) => {
      worker.on('message', (reply: Reply) => {
        if (reply.kind === 'open') {
          seals.rawPoints.set(reply.rawPoints)
          resolve()
        } else if (reply.kind === 'state') seals.observe(reply.state)
        else if (reply.kind === 'warning') {
          metrics.failures.inc({ code: reply.code })
          logger.warn({ code: reply.code, detail: reply.message }, 'points cannot be sealed; trying again')
        } else if (reply.kind === 'failed' && reply.id === undefined) {
          reject(new SluiceError(reply.code, reply.message))
        } else this.#settle(reply)
      })
      worker.on('error', (error) => {
        logger.error({ err: error }, 'the thread of the points died')
        this.#break(new SluiceError('store_unavailable', 'the thread of the points died', { cause: error }))
      })
      worker.on('exit', () => {
        this.#break(new SluiceError('closed', 'the points are closed'))
        reject(this.#broken ?? new SluiceError('closed', 'the points are closed'))
      })
    })
  }

  /** Posts a batch. It is packed when its turn comes: until then the caller must not change it. */
  async write(batch: PointBatch, packer: BatchPacker): Promise<Written> {
    const points = batch.series.length
    let packed: ReturnType<BatchPacker['pack']> | undefined
    try {
      const { conflicts, rawPoints } = await this.#post('write', points, () => {
        packed = packer.pack(batch)
        const parts = packed.parts.map(({ bytes }) => bytes)
        return { request: { kind: 'write', parts, names: packed.names }, transfer: parts.map(({ buffer }) => buffer) }
      })
      this.#seals.rawPoints.set(rawPoints)
      return { conflicts, rejected: packed?.rejected ?? [], indexOf: packed?.indexOf ?? ((_part, index) => index) }
    } catch (error) {
      // The thread may not know the names that came with it.
      packer.forget()
      throw error
    }
  }

  ask<K extends keyof Answers>(kind: K, request: Request & { kind: K }): Promise<Answers[K]> {
    return this.#post(kind, 0, () => ({ request, transfer: [] }))
  }

  close(): Promise<void> {
    this.#closing ??= this.#shut()
    return this.#closing
  }

  async #shut(): Promise<void> {
    const exit = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    if (this.#broken !== undefined) return
    await this.#enqueue('close', 0, () => ({ request: { kind: 'close' }, transfer: [] }))
    await exit
  }

  #post<K extends keyof Answers>(
    kind: K,
    points: number,
    prepare: () => { request: Request; transfer: ArrayBuffer[] },
  ): Promise<Answers[K]> {
    if (this.#closing !== undefined) return Promise.reject(new SluiceError('closed', 'the points are closed'))
    return this.#enqueue(kind, points, prepare)
  }

  async #enqueue<K extends keyof Answers>(
    _kind: K,
    points: number,
    prepare: () => { request: Request; transfer: ArrayBuffer[] },
  ): Promise<Answers[K]> {
    const answer = await new Promise<Answers[keyof Answers]>((resolve, reject) => {
      const post = (): void => {
        if (this.#broken !== undefined) return reject(this.#broken)
        const { request, transfer } = prepare()
        const id = ++this.#lastId
        const settle = <T>(next: (value: T) => void): ((value: T) => void) => {
          return (value) => {
            this.#count(-points)
            next(value)
          }
        }
        this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
        this.#count(points)
        const posted: Posted = { ...request, id }
        this.#worker.postMessage(posted, transfer)
      }
      // All requests stand in one line: a sync must not overtake the writes called before it.
      if (this.#line.length > 0 || this.#isFull()) this.#line.push(post)
      else post()
    })
    // The thread answers each kind of request with its kind of answer.
    return answer as Answers[K]
  }

  #settle(reply: Extract<Reply, { kind: 'done' | 'failed' }>): void {
    const waiting = reply.id === undefined ? undefined : this.#waiting.get(reply.id)
    if (waiting === undefined || reply.id === undefined) return
    this.#waiting.delete(reply.id)
    if (reply.kind === 'done') waiting.resolve(reply.answer)
    else {
      this.#metrics.failures.inc({ code: reply.code })
      waiting.reject(new SluiceError(reply.code, reply.message))
    }
    this.#admit()
  }

  #break(error: SluiceError): void {
    this.#broken ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#broken)
    this.#waiting.clear()
    this.#admit()
  }

  #admit(): void {
    while (this.#line.length > 0 && (this.#broken !== undefined || !this.#isFull())) this.#line.shift()?.()
  }

  #isFull(): boolean {
    return this.#inFlight >= MAX_IN_FLIGHT
  }

  #count(points: number): void {
    this.#inFlight += points
    this.#metrics.waiting.set(this.#inFlight)
  }
}
