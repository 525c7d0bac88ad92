import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics, type Metrics } from '../../shared/process/metrics.ts'
import type { PointStore } from '../../shared/points/port.ts'
import { openSqlitePoints, type SqlitePointsOptions } from '../../shared/points/sqlite/open.ts'
import { tempFolder } from '../helpers.ts'
import type { PointsHarness } from './points-harness.ts'

type SealOptions = Pick<SqlitePointsOptions, 'sealAfterPoints' | 'sealAfterMs' | 'keepMs'>

export interface Embedded {
  readonly store: PointStore
  /** Resolves when every point is sealed, and has the figure of the metric of a name. */
  sealed(): Promise<void>
  metric(name: string): Promise<number>
}

/** Opens the embedded store; closed with the test. */
export async function openEmbedded(folder: string, options: SealOptions = {}): Promise<Embedded> {
  const metrics = createMetrics({ defaults: false })
  const store = await openSqlitePoints({ folder, logger: createLogger('silent'), metrics, ...options })
  onTestFinished(() => store.close())
  const metric = (name: string): Promise<number> => figure(metrics, name)
  return { store, metric, sealed: () => untilSealed(metrics) }
}

/** A harness whose stores seal as soon as they hold so many points. */
export async function makeEmbedded(options: SealOptions): Promise<PointsHarness> {
  const folder = join(tempFolder(), 'points')
  let metrics = createMetrics({ defaults: false })
  return {
    open() {
      metrics = createMetrics({ defaults: false })
      return openSqlitePoints({ folder, logger: createLogger('silent'), metrics, ...options })
    },
    rest: () => (options.sealAfterPoints === 1 ? untilSealed(metrics) : Promise.resolve()),
  }
}

async function untilSealed(metrics: Metrics): Promise<void> {
  await vi.waitUntil(async () => (await figure(metrics, 'sluice_points_raw_points')) === 0, {
    timeout: 20_000,
    interval: 5,
  })
}

async function figure(metrics: Metrics, name: string): Promise<number> {
  return (await metrics.getSingleMetric(name)?.get())?.values[0]?.value ?? NaN
}
