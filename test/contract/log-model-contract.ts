import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TelemetryLog } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { type LogHarness, type MakeLogHarness, PARTITIONS, RAW, readAll, record, SIMILAR_KEYS } from './log-harness.ts'

type Step =
  | { kind: 'append'; batches: string[][] }
  | { kind: 'read'; partition: number; offset: number; maxRecords: number }
  | { kind: 'seek'; partition: number; ms: number }
  | { kind: 'consume'; group: string; maxRecords: number; commits: number[] }
  | { kind: 'reopen' }

const key = fc.constantFrom(...SIMILAR_KEYS, 'acme/a', 'acme/b', 'acme/c')
const partition = fc.nat(PARTITIONS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      batches: fc.array(fc.array(key, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      partition,
      offset: fc.nat(20),
      maxRecords: fc.integer({ min: 1, max: 7 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('seek' as const), partition, ms: fc.nat(60) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('consume' as const),
      group: fc.constantFrom('worker', 'Worker'),
      maxRecords: fc.integer({ min: 1, max: 7 }),
      commits: fc.array(fc.nat(20), { minLength: PARTITIONS, maxLength: PARTITIONS }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
)

/** The log as arrays: what any adapter must look like from outside. */
class Model {
  readonly records: LogRecord[][] = Array.from({ length: PARTITIONS }, () => [])
  readonly committed = new Map<string, number[]>()
  #made = 0

  /** Receive times rise and sometimes fall back, as a clock that is set does. */
  make(recordKey: string): LogRecord {
    const n = this.#made++
    return record(recordKey, `value ${n}`, n % 7 === 3 ? n - 3 : n, n)
  }

  committedOf(group: string): number[] {
    const known = this.committed.get(group) ?? Array.from({ length: PARTITIONS }, () => 0)
    this.committed.set(group, known)
    return known
  }
}

function plain(records: readonly LogRecord[]): unknown[] {
  return records.map(({ key: own, value, ms, ns }) => [own, Buffer.from(value).toString(), ms, ns])
}

async function append(log: TelemetryLog, model: Model, batches: string[][]): Promise<void> {
  const made = batches.map((keys) => keys.map((recordKey) => model.make(recordKey)))
  const expected = made.map((records) => {
    const firsts = new Map<number, number>()
    for (const one of records) {
      const own = log.partitionOf(one.key)
      if (!firsts.has(own)) firsts.set(own, model.records[own]?.length ?? 0)
      model.records[own]?.push(one)
    }
    return firsts
  })
  expect(await Promise.all(made.map((records) => log.append(RAW, records)))).toEqual(expected)
}

/** Reads a group's backlog to its end, then commits somewhere. */
async function consume(log: TelemetryLog, model: Model, { group, maxRecords, commits }: Step & { kind: 'consume' }) {
  const committed = model.committedOf(group)
  const seen: LogRecord[][] = Array.from({ length: PARTITIONS }, () => [])
  const expected = model.records.map((records, own) => records.slice(committed[own]))
  const total = expected.reduce((sum, records) => sum + records.length, 0)
  const done = Promise.withResolvers<void>()
  let count = 0
  const consumer = await log.consume({
    topic: RAW,
    group,
    maxRecords,
    onError: done.reject,
    async onBatch({ partition: own, firstOffset, records }) {
      expect(records.length).toBeLessThanOrEqual(maxRecords)
      expect(firstOffset).toBe((committed[own] ?? 0) + (seen[own]?.length ?? 0))
      seen[own]?.push(...records)
      count += records.length
      if (count === total) done.resolve()
    },
  })
  if (total > 0) await done.promise
  const positions = commits.map((offset, own) => ({
    partition: own,
    offset: Math.min(offset, model.records[own]?.length ?? 0),
  }))
  await consumer.commit(positions)
  await consumer.close()
  expect(seen.map(plain)).toEqual(expected.map(plain))
  for (const { partition: own, offset } of positions) committed[own] = Math.max(committed[own] ?? 0, offset)
}

async function check(log: TelemetryLog, model: Model): Promise<void> {
  expect((await log.offsets(RAW)).map(({ start, end }) => [start, end])).toEqual(
    model.records.map((records) => [0, records.length]),
  )
  for (const [group, committed] of model.committed) {
    expect((await log.lag(RAW, group)).map(({ records }) => records)).toEqual(
      model.records.map((records, own) => records.length - (committed[own] ?? 0)),
    )
  }
}

async function run(harness: LogHarness, steps: readonly Step[]): Promise<void> {
  const model = new Model()
  let log = await harness.open()
  try {
    for (const one of steps) {
      if (one.kind === 'append') await append(log, model, one.batches)
      else if (one.kind === 'consume') await consume(log, model, one)
      else if (one.kind === 'read') {
        const found = await readAll(log, one.partition, { from: { offset: one.offset }, maxRecords: one.maxRecords })
        expect(plain(found.flatMap(({ records }) => records))).toEqual(
          plain(model.records[one.partition]?.slice(one.offset) ?? []),
        )
      } else if (one.kind === 'seek') {
        const found = await readAll(log, one.partition, { from: { time: { ms: one.ms, ns: 0 } } })
        const records = model.records[one.partition] ?? []
        const first = records.findIndex(({ ms }) => ms >= one.ms)
        expect(plain(found.flatMap((batch) => batch.records))).toEqual(plain(first < 0 ? [] : records.slice(first)))
      } else {
        await log.close()
        log = await harness.open()
      }
      await check(log, model)
    }
  } finally {
    await log.close()
  }
}

/** Random appends, reads, commits and reopenings against the model. */
export function describeModel(name: string, make: MakeLogHarness): void {
  describe(`${name}: random sequences of steps`, () => {
    it('looks like arrays of records', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => run(await make(), steps)),
        { numRuns: 20, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
      )
    })
  })
}
