import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { thisBuild } from './version.ts'

/** One registry per process, handed to each part; a part makes its own `sluice_*` metrics in it, in base units. */
export type Metrics = Registry

/** Opens a registry. `defaults` adds the process and Node metrics (event loop lag, memory, file handles). */
export function createMetrics(options: { defaults: boolean }): Metrics {
  const registry = new Registry()
  if (options.defaults) collectDefaultMetrics({ register: registry })
  const { version, node } = thisBuild()
  new Gauge({
    name: 'sluice_build_info',
    help: 'Always 1; the labels name what runs',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node }, 1)
  return registry
}

/** A gauge that reads its value whenever it is scraped: between two scrapes it costs nothing. */
export function gaugeOf(metrics: Metrics, name: string, help: string, read: () => number | Promise<number>): void {
  new Gauge({
    name,
    help,
    registers: [metrics],
    async collect() {
      this.set(await read())
    },
  })
}

/** Seconds; from an in-memory step to an SD card that stalls. */
export const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Seconds of what waits for a server to come back: up to two hours. */
export const OUTAGE_BUCKETS = [...LATENCY_BUCKETS, 60, 120, 300, 600, 1800, 3600, 7200]

/** Records in a batch. */
export const SIZE_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]
