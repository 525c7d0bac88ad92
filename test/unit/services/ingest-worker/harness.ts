import { pino } from 'pino'
import { onTestFinished, vi } from 'vitest'
import { ingestWorkerSettings } from '../../../../config/ingest-worker.ts'
import { loadConfig } from '../../../../shared/config.ts'
import { recordToDeadLetter, type DeadLetter } from '../../../../shared/dead-letter.ts'
import { createMetrics } from '../../../../shared/process/metrics.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import {
  startIngestWorker,
  type IngestWorker,
  type IngestWorkerOptions,
} from '../../../../services/ingest-worker/worker.ts'
import { MemoryLog } from '../../../fakes/memory-log.ts'
import { MemoryPoints } from '../../../fakes/memory-points.ts'
import { MemoryRegistry } from '../../../fakes/memory-registry.ts'

/** What outlives a worker. */
export class World {
  readonly log: MemoryLog
  readonly points = new MemoryPoints()
  readonly registry = new MemoryRegistry()
  readonly cached = new Map<string, string>()
  readonly cache: IngestWorkerOptions['cache'] = {
    setMany: async (entries) => {
      for (const { key, value } of entries) this.cached.set(key, value)
    },
  }
  #clock = 1_769_860_800_000

  constructor(partitions = 1) {
    this.log = new MemoryLog(partitions)
  }

  /** Appends payloads of one device, each received a millisecond after the last. */
  async publish(payloads: readonly unknown[], key = 'demo/first', topic?: string): Promise<void> {
    const headers = topic === undefined ? undefined : { topic }
    await this.log.append(
      'telemetry.raw',
      payloads.map((payload): LogRecord => {
        const value = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
        return { key, value, ms: this.#clock++, ns: 0, headers }
      }),
    )
  }

  /** A worker on this world, with other ports where given; closed with the test. */
  async work(
    ports: Partial<IngestWorkerOptions> = {},
    env: Record<string, string> = {},
  ): Promise<IngestWorker & { options: IngestWorkerOptions }> {
    const { log, points, registry, cache } = this
    const settings = loadConfig(ingestWorkerSettings, { INGEST_CHECKPOINT_MS: '20', INGEST_CLOSE_MS: '1000', ...env })
    const logger = pino({ level: 'silent' })
    const options = {
      log,
      points,
      registry,
      cache,
      settings,
      logger,
      metrics: createMetrics({ defaults: false }),
      ...ports,
    }
    const worker = await startIngestWorker(options)
    onTestFinished(() => worker.close())
    return { ...worker, options }
  }

  /** Waits until everything appended is committed. */
  async settled(): Promise<void> {
    await vi.waitFor(
      () => {
        const ends = this.log.records['telemetry.raw'].map((records) => records.length)
        if (ends.some((end, partition) => this.log.committed[partition] !== end))
          throw new Error('not all is committed')
      },
      { timeout: 10_000, interval: 5 },
    )
  }

  deadLetters(): DeadLetter[] {
    return this.log.records['telemetry.dead-letter'].flat().flatMap((record) => recordToDeadLetter(record) ?? [])
  }
}

export async function counter(options: IngestWorkerOptions, name: string): Promise<number> {
  const metric = await options.metrics.getSingleMetric(`sluice_ingest_${name}`)?.get()
  return (metric?.values ?? []).reduce((sum, { value }) => sum + value, 0)
}
