import { expect, it } from 'vitest'
import { createMetrics, gaugeOf } from '../../../../shared/process/metrics.ts'

it('a gauge of a value reads it at every scrape, and only then', async () => {
  const metrics = createMetrics({ defaults: false })
  let reads = 0
  gaugeOf(metrics, 'sluice_test_waiting', 'What waits', () => ++reads)
  expect(reads).toBe(0)
  expect(await metrics.metrics()).toContain('# HELP sluice_test_waiting What waits\n# TYPE sluice_test_waiting gauge')
  expect(await metrics.metrics()).toContain('\nsluice_test_waiting 2')
  expect(reads).toBe(2)
})
