import { describe, expect, it } from 'vitest'
import { Gaps } from '../../../../services/ingest-worker/gaps.ts'
import { createIngestMetrics } from '../../../../services/ingest-worker/metrics.ts'
import { recordToDeadLetter, type DeadLetter } from '../../../../shared/dead-letter.ts'
import type { LogGap } from '../../../../shared/log/port.ts'
import { createLogger } from '../../../../shared/process/logger.ts'
import { createMetrics } from '../../../../shared/process/metrics.ts'
import { MemoryLog } from '../../../fakes/memory-log.ts'
import { counter, World } from './harness.ts'

const GAP: LogGap = {
  reason: 'retention',
  ...{ partition: 0, log: 'first', from: 1, lost: 4, next: 5 },
  ...{ beforeMs: 1_700_000_000_000, behindMs: 1_700_000_060_000 },
}

/** Gaps, the letters that were written, and what was counted. */
function start(): { gaps: Gaps; letters: () => DeadLetter[]; counted: () => Promise<number[]> } {
  const log = new MemoryLog()
  const metrics = createIngestMetrics(createMetrics({ defaults: false }))
  const gaps = new Gaps({
    log,
    retry: { run: (_, attempt) => attempt() },
    metrics,
    logger: createLogger('silent'),
  })
  const letters = () => log.records['telemetry.dead-letter'].flat().flatMap((one) => recordToDeadLetter(one) ?? [])
  const counted = async () => (await metrics.gap.get()).values.map(({ value }) => value)
  return { gaps, letters, counted }
}

describe('a gap', () => {
  it('has a letter that names partition, offsets and the span of receive times', async () => {
    const { gaps, letters } = start()
    await gaps.append([GAP])
    expect(letters()).toMatchObject([
      {
        ...{ stage: 'log', code: 'offset_reset', log: 'first', source: { partition: 0, offset: 1 } },
        detail:
          '4 records of partition 0, offsets 1 to 4, received after 2023-11-14T22:13:20.000Z and before ' +
          '2023-11-14T22:14:20.000Z, were deleted by retention before they were read',
      },
    ])
    expect(JSON.parse(Buffer.from(letters()[0]?.payload ?? []).toString())).toEqual(GAP)
  })

  it('that is met again, as at each rebalance before its end is committed, is told and counted once', async () => {
    const { gaps, letters, counted } = start()
    await gaps.append([GAP, GAP])
    await gaps.append([GAP])
    await gaps.append([{ ...GAP, log: 'second' }])
    await gaps.append([{ ...GAP, from: 7, next: 9, lost: 2 }])
    expect(letters()).toHaveLength(3)
    expect(await counted()).toEqual([10])
    expect(gaps.summary()).toBe('10 records were deleted by retention before they were read')
  })

  it.each([
    ['retention', 'offset_reset', '4 records were deleted by retention before they were read'],
    ['damage', 'log_corrupt', '4 records were damaged and could not be read'],
    [
      'replaced',
      'log_replaced',
      'at least 4 records were in a log that was deleted, cut or restored before they were read',
    ],
  ] as const)('says why: %s', async (reason, code, summary) => {
    const { gaps, letters } = start()
    await gaps.append([{ ...GAP, reason }])
    expect(letters()).toMatchObject([{ code }])
    expect(gaps.summary()).toBe(summary)
  })
})

it('counts, shows and writes down in one letter records that were gone before they were read', async () => {
  const world = new World()
  await world.publish([{ a: 1 }, { a: 2 }, { a: 3 }])
  world.log.kept[0] = 2
  const worker = await world.work()
  await world.settled()
  expect(worker.status()).toEqual({
    ok: true,
    detail: '2 records were deleted by retention before they were read',
  })
  expect(await counter(worker.options, 'gap_records_total')).toBe(2)
  const [letter, ...others] = world.deadLetters()
  expect(others).toEqual([])
  expect(letter).toMatchObject({ stage: 'log', code: 'offset_reset', source: { partition: 0, offset: 0 } })
  expect(letter?.detail).toMatch(
    /^2 records of partition 0, offsets 0 to 1, received after an unknown time and before 20/,
  )
})

it('commits the position behind a gap by itself, so that it is met once', async () => {
  const world = new World()
  await world.publish([{ a: 1 }, { a: 2 }])
  world.log.kept[0] = 2
  const first = await world.work()
  await world.settled()
  expect(world.log.committed).toEqual([2])
  await first.close()
  const second = await world.work()
  await world.publish([{ a: 3 }])
  await world.settled()
  expect(second.status()).toEqual({ ok: true })
})
