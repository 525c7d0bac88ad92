import { Gauge } from 'prom-client'
import { SluiceError } from '../../errors.ts'
import type { Metrics } from '../../process/metrics.ts'
import { ThreadClient, toError } from '../../process/thread-client.ts'
import { memoryOfStep } from './memory.ts'
import type { ReaderCalls } from './reader-thread.ts'
import type { Unpacked, UnpackJob } from './unpack.ts'

/** Steps of scans that may wait for a reader; each scan has one at most. More are refused. */
const MAX_WAITING = 256

type Reader = ThreadClient<ReaderCalls, undefined>

/**
 * Threads that unpack what the owner of the files has looked up, one step of a scan at a time each; the first step starts
 * them. They touch no file, so that neither a sealing nor a delete has to wait for them.
 */
export class Readers {
  readonly #depth: Gauge
  /** By number; undefined for one that is not started. */
  readonly #readers: (Promise<Reader> | undefined)[]
  /** Numbers of those that do nothing. */
  readonly #idle: number[]
  readonly #waiting: ((reader: number) => void)[] = []
  #closing: Promise<void> | undefined

  constructor(count: number, metrics: Metrics) {
    this.#readers = Array.from({ length: count }, () => undefined)
    this.#idle = [...this.#readers.keys()]
    this.#depth = new Gauge({
      name: 'sluice_points_scan_steps_waiting',
      help: 'Steps of scans that wait for a reader thread; bounded',
      registers: [metrics],
    })
  }

  /** Errors: `store_unavailable` when too many wait, or a reader ended; `closed`, `store_corrupt`. */
  async unpack(job: UnpackJob): Promise<Unpacked> {
    const number = this.#idle.pop() ?? (await this.#turn())
    try {
      if (this.#closing !== undefined) throw new SluiceError('closed', 'the point store is closed')
      const reader = await (this.#readers[number] ??= this.#start(number))
      return await reader.ask('unpack', job, memoryOfStep(job))
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#idle.push(number)
      else next(number)
      this.#depth.set(this.#waiting.length)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Resolves with the number of a reader when one is free. */
  #turn(): Promise<number> {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new SluiceError('store_unavailable', `${MAX_WAITING} steps of scans are waiting for a reader`)
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#depth.set(this.#waiting.length)
    })
  }

  async #start(number: number): Promise<Reader> {
    // The next step starts another one in its place.
    const forget = (): void => {
      this.#readers[number] = undefined
    }
    try {
      const { client } = await ThreadClient.start<ReaderCalls, undefined>({
        file: new URL('./reader-thread.ts', import.meta.url),
        workerData: undefined,
        name: 'reader of points',
        lostCode: 'store_unavailable',
        toError,
        onLost: forget,
      })
      return client
    } catch (error) {
      forget()
      throw error
    }
  }

  async #close(): Promise<void> {
    const closed = this.#readers.map(async (reader) => (await reader)?.close())
    // One that could not start was told of by its step.
    await Promise.allSettled(closed)
  }
}
