import { expect, it, vi } from 'vitest'
import { World } from './harness.ts'
import { PATIENCE } from '../../../patience.ts'

/** What an operator follows a reading by, from the log to the commit; each with what it says of this one. */
const EXPECTED: Readonly<Record<string, RegExp>> = {
  decoded: /^sluice_ingest_readings_total 3$/m,
  written: /^sluice_ingest_points_total 3$/m,
  refused: /^sluice_ingest_faults_total\{code="payload_not_json"\} 1$/m,
  'dead-lettered': /^sluice_ingest_dead_letters_total 1$/m,
  committed: /^sluice_ingest_committed_offset\{partition="0"\} 4$/m,
  'batch sizes': /^sluice_ingest_batch_records_sum 4$/m,
  'points per write': /^sluice_ingest_write_points_sum 3$/m,
  'from received to stored': /^sluice_ingest_stored_latency_seconds_count [1-9]/m,
  'up to two hours, as after an outage': /^sluice_ingest_stored_latency_seconds_bucket\{le="7200"\} \d/m,
  'time to decode a batch': /^sluice_ingest_decode_seconds_count [1-9]/m,
  'time at work': /^sluice_ingest_useful_seconds_total (?!0$)/m,
  'time to write a batch': /^sluice_ingest_write_seconds_count [1-9]/m,
  'time to commit': /^sluice_ingest_checkpoint_seconds_count [1-9]/m,
  'whose partition it is': /^sluice_ingest_assigned\{partition="0"\} 1$/m,
}

it('every stage of a reading is in the metrics', async () => {
  const world = new World()
  await world.publish([{ a: 1 }, { a: 2 }, '{no json', { a: 3 }])
  const { options } = await world.work()
  await vi.waitFor(async () => {
    const text = await options.metrics.metrics()
    const missing = Object.entries(EXPECTED).filter(([, pattern]) => !pattern.test(text))
    expect(missing.map(([stage]) => stage)).toEqual([])
  }, PATIENCE)
})
