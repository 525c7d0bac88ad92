import { expect, it, onTestFinished, vi } from 'vitest'
import { LagWatch } from '../../../../shared/process/lag-watch.ts'
import type { PartitionLag } from '../../../../shared/log/port.ts'
import { createLogger } from '../../../../shared/process/logger.ts'
import { createMetrics } from '../../../../shared/process/metrics.ts'
import { PATIENCE } from '../../../patience.ts'

it('shows the last lag that was read and when, and a scrape waits for no log that hangs', async () => {
  const lag = (records: number): PartitionLag => ({ partition: 0, committed: 1, end: 1 + records, records, seconds: 2 })
  let read = () => Promise.resolve([lag(7)])
  const metrics = createMetrics({ defaults: false })
  const asked = vi.fn(() => read())
  const watch = new LagWatch({ log: { lag: asked }, logger: createLogger('silent'), metrics, everyMs: 10 })
  onTestFinished(() => watch.close())
  const value = async (name: string) => (await metrics.getSingleMetric(`sluice_log_${name}`)?.get())?.values[0]?.value
  await expect.poll(() => value('lag_records'), PATIENCE).toBe(7)
  expect(await value('lag_seconds')).toBe(2)

  const hung = Promise.withResolvers<PartitionLag[]>()
  read = () => hung.promise
  const calls = asked.mock.calls.length
  await expect.poll(() => asked.mock.calls.length, PATIENCE).toBeGreaterThan(calls)
  const readAt = await value('lag_read_timestamp_seconds')
  expect(await metrics.metrics()).toContain('sluice_log_lag_records{partition="0"} 7')
  expect(await value('lag_read_timestamp_seconds')).toBe(readAt)

  read = () => Promise.resolve([lag(9)])
  hung.resolve([lag(8)])
  await expect.poll(() => value('lag_records'), PATIENCE).toBe(9)
  expect(await value('lag_read_timestamp_seconds')).toBeGreaterThanOrEqual(readAt ?? Infinity)
})
