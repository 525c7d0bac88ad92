import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { type KafkaLogOptions, openKafkaLog } from '../../shared/log/kafka/open.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { type Kafka, startKafka } from '../../load-tests/servers/kafka.ts'
import { PARTITIONS } from './log-harness.ts'

/** A cluster for all tests of a file: real brokers, which start before the first and go behind the last. */
export function useKafka(brokers: 1 | 3): { readonly kafka: Kafka; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-kafka-'))
  let kafka: Kafka | undefined
  beforeAll(async () => {
    kafka = await startKafka(folder, { brokers })
  })
  afterAll(async () => {
    await kafka?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    folder,
    get kafka() {
      if (kafka === undefined) throw new Error('Kafka has not started')
      return kafka
    },
  }
}

/** A prefix that gives a test topics and groups of its own. */
export function newPrefix(): string {
  return `t-${randomUUID()}.`
}

/** Opens the log with three partitions; the caller closes it. */
export function openOnKafka(
  { brokers }: { readonly brokers: readonly string[] },
  options: Partial<KafkaLogOptions> = {},
): Promise<TelemetryLog> {
  return openKafkaLog({
    brokers,
    clientId: 'test',
    partitions: PARTITIONS,
    replication: brokers.length === 3 ? 3 : 1,
    retention: {},
    logger: createLogger('silent'),
    metrics: createMetrics({ defaults: false }),
    ...options,
  })
}
