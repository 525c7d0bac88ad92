import { expect, it, onTestFinished, vi } from 'vitest'
import { RetentionWatch } from '../../../../services/ingest-worker/retention-watch.ts'
import type { Horizon, PartitionLag } from '../../../../shared/log/port.ts'
import { createLogger } from '../../../../shared/process/logger.ts'
import { PATIENCE } from '../../../patience.ts'

const lagOf = (partition: number, horizon?: Horizon): PartitionLag => {
  return { partition, committed: 0, end: 5, records: 5, seconds: 1, horizon }
}

it('warns once while retention is near, names the nearest partition, and says when it no longer is', async () => {
  let lag: readonly PartitionLag[] = []
  const logger = createLogger('silent')
  const warn = vi.spyOn(logger, 'warn')
  const read = vi.fn(async () => lag)
  const watch = new RetentionWatch({ log: { lag: read }, logger, everyMs: 1 })
  onTestFinished(() => watch.close())
  const untilReadAgain = async (): Promise<void> => {
    read.mockClear()
    await vi.waitFor(() => expect(read.mock.calls.length).toBeGreaterThan(2), PATIENCE)
  }
  lag = [lagOf(0, { seconds: 7200, used: 0.49 }), lagOf(1)]
  await untilReadAgain()
  expect(watch.summary()).toBeUndefined()
  lag = [lagOf(0, { seconds: 7200, used: 0.5 }), lagOf(1, { seconds: 3600, used: 0.6 }), lagOf(2)]
  await untilReadAgain()
  expect(watch.summary()).toBe(
    'retention removes records of partition 1 that are not stored in 1.0 h (60 % of it is used)',
  )
  read.mockRejectedValueOnce(new Error('no answer'))
  await untilReadAgain()
  expect(warn).toHaveBeenCalledTimes(1)
  lag = []
  await untilReadAgain()
  expect(watch.summary()).toBeUndefined()
})
