import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { openSqliteLog, type SqliteLogOptions } from '../../shared/log/sqlite/open.ts'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'

const MEGABYTE = 1024 * 1024

/** The smallest bound there is: eight files of 1 MiB. */
export const LEAST_BOUND = 8 * MEGABYTE

/** Opens the embedded log with one partition; closed with the test. */
export async function openEmbedded(folder: string, options: Partial<SqliteLogOptions> = {}): Promise<TelemetryLog> {
  const log = await openSqliteLog({
    folder,
    partitions: 1,
    retention: {},
    logger: createLogger('silent'),
    metrics: createMetrics({ defaults: false }),
    ...options,
  })
  onTestFinished(() => log.close())
  return log
}

/** The files of a topic, oldest first, without their WALs. */
export function filesOf(folder: string, topic = 'telemetry.raw'): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(topic) && name.endsWith('.sqlite'))
    .sort()
    .map((name) => join(folder, name))
}

/** SQLite removes its journals at any time: what is gone by the time it is looked at has no bytes. */
export function bytesIn(folder: string): number {
  const sizeOf = (name: string) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
  return readdirSync(folder).reduce((sum, name) => sum + sizeOf(name), 0)
}
