import { setTimeout as delay } from 'node:timers/promises'
import { formatInstant } from '../../../shared/telemetry.ts'
import { devicePath, type ApiClient } from '../../../shared/api-client.ts'
import { LatencyHistogram } from '../latency-histogram.ts'
import type { FleetDevice } from '../fleet.ts'
import type { ReadingsAnswer } from './device-verification.ts'
import type { Workload } from '../workload.ts'

const SAMPLE_EVERY_MS = 500
const ASK_EVERY_MS = 5
/** A sample that takes longer is counted as that long. */
const GIVE_UP_MS = 10_000

/**
 * Measures, for one acknowledged reading about every half second, how long after its PUBLISH the API answers with it.
 * The steps between two questions (some 5 ms) are part of the result.
 */
export class QueryableSampler {
  readonly latency = new LatencyHistogram()
  readonly #options: { readonly api: ApiClient; readonly devices: readonly FleetDevice[]; readonly workload: Workload }
  #nextAt = 0
  #sampling: Promise<void> | undefined
  #stopped = false

  constructor(options: { api: ApiClient; devices: readonly FleetDevice[]; workload: Workload }) {
    this.#options = options
  }

  /** Takes the reading as a sample when it is time for one. */
  onAcknowledged(device: number, sequence: number, sentAt: number): void {
    if (this.#sampling !== undefined || this.#stopped || performance.now() < this.#nextAt) return
    this.#sampling = this.#sample(device, sequence, sentAt).finally(() => {
      this.#sampling = undefined
      this.#nextAt = performance.now() + SAMPLE_EVERY_MS
    })
  }

  /** Takes no more samples and waits for the one that is being taken. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#sampling
  }

  async #sample(device: number, sequence: number, sentAt: number): Promise<void> {
    while (!(await this.#isQueryable(device, sequence))) {
      if (performance.now() - sentAt > GIVE_UP_MS) break
      await delay(ASK_EVERY_MS)
    }
    this.latency.add(performance.now() - sentAt)
  }

  /** False while the API does not answer, too: that is part of how long it takes. */
  async #isQueryable(device: number, sequence: number): Promise<boolean> {
    const { api, devices, workload } = this.#options
    const { tenant, device: name } = devices[device] ?? { tenant: '', device: '' }
    const us = workload.timeUs(sequence)
    const [from, to] = [us, us + 1].map((time) =>
      formatInstant({ ms: Math.floor(time / 1000), ns: (time % 1000) * 1000 }),
    )
    try {
      const path = devicePath(tenant, name, '/readings')
      const answer = await api.get<ReadingsAnswer>(path, { from, to, epoch: 'us', limit: 1 })
      return answer.series.some(({ points }) => points.length > 0)
    } catch {
      return false
    }
  }
}
