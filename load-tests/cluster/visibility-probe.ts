import { setTimeout as delay } from 'node:timers/promises'
import { LatencyHistogram } from '../../services/simulator/latency-histogram.ts'
import type { Workload } from '../../services/simulator/workload.ts'

/** Between two questions; with the time of a question the most by which a result is too high. */
const ASK_EVERY_MS = 15
/** Readings that a question is about. */
const WINDOW = 200
const GIVE_UP_MS = 15_000

/** Times in microseconds of a device's readings that can be queried, `fromUs` inclusive, `toUs` exclusive. */
export type ReadTimes = (device: number, fromUs: number, toUs: number) => Promise<readonly number[]>

interface Probed {
  readonly device: number
  /** Acknowledged, not seen yet: sequence number and when it was first sent. */
  readonly sent: Map<number, number>
  /** Seen, not acknowledged yet: sequence number and when it was seen. */
  readonly seen: Map<number, number>
  /** All readings below were seen. */
  next: number
  /** Seen ones from `next` on. */
  readonly ahead: Set<number>
}

/**
 * How long after its PUBLISH a reading can be queried, for every reading of some devices: a stall shows in all the
 * readings that it held up.
 */
export class VisibilityProbe {
  readonly latency = new LatencyHistogram()
  readonly #probed: readonly Probed[]
  readonly #read: ReadTimes
  readonly #workload: Workload
  readonly #running: Promise<unknown>
  /** Whoever stops the probe hears of it. */
  #failure: { readonly error: unknown } | undefined
  #stopped = false

  constructor(options: { devices: readonly number[]; workload: Workload; read: ReadTimes }) {
    this.#probed = options.devices.map((device) => ({
      device,
      sent: new Map(),
      seen: new Map(),
      next: 0,
      ahead: new Set(),
    }))
    this.#read = options.read
    this.#workload = options.workload
    this.#running = this.#run().catch((error: unknown) => (this.#failure = { error }))
  }

  onAcknowledged(device: number, sequence: number, sentAt: number): void {
    const probed = this.#probed.find((one) => one.device === device)
    if (probed === undefined) return
    const seenAt = probed.seen.get(sequence)
    if (seenAt === undefined) probed.sent.set(sequence, sentAt)
    else this.latency.add(seenAt - sentAt)
    probed.seen.delete(sequence)
  }

  /** Waits until everything acknowledged was seen. Rejects when some of it does not come, or a question failed. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #run(): Promise<void> {
    let stoppedAt: number | undefined
    for (;;) {
      for (const probed of this.#probed) {
        await this.#ask(probed)
        await delay(ASK_EVERY_MS)
      }
      if (!this.#stopped) continue
      const missing = this.#probed.reduce((sum, { sent }) => sum + sent.size, 0)
      if (missing === 0) return
      stoppedAt ??= performance.now()
      if (performance.now() - stoppedAt > GIVE_UP_MS) {
        throw new Error(`${missing} acknowledged readings cannot be queried ${GIVE_UP_MS / 1000} s after the end`)
      }
    }
  }

  async #ask(probed: Probed): Promise<void> {
    const { timeUs, sequenceAt } = this.#workload
    const times = await this.#read(probed.device, timeUs(probed.next), timeUs(probed.next + WINDOW))
    const now = performance.now()
    for (const time of times) {
      const sequence = sequenceAt(time)
      if (sequence === undefined || sequence < probed.next || probed.ahead.has(sequence)) continue
      probed.ahead.add(sequence)
      const sentAt = probed.sent.get(sequence)
      if (sentAt === undefined) probed.seen.set(sequence, now)
      else this.latency.add(now - sentAt)
      probed.sent.delete(sequence)
    }
    while (probed.ahead.delete(probed.next)) probed.next += 1
  }
}
