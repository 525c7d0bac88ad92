import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { RecentValues } from '../../../../services/ingest-worker/recent-values.ts'
import type { LogRecord, Series } from '../../../../shared/telemetry.ts'
import { lasting } from '../../../long.ts'

const T = 1_769_860_800_000

type Value = number | boolean | string
interface Message {
  readonly device: number
  readonly readings: readonly { readonly t: number; readonly field: string; readonly value: Value }[]
}
/** New messages; all from an earlier place again; or what a rebalance and a restart of the worker do. */
type Step =
  | { readonly kind: 'new'; readonly messages: readonly Message[] }
  | { readonly kind: 'again'; readonly back: number }
  | { readonly kind: 'rebalance' | 'restart' }

const value = fc.oneof(fc.constantFrom<Value>(0, -0, 1, 2, 'x', 'y', '1', true, false), fc.nat(3))
const reading = fc.record({ t: fc.nat(6), field: fc.constantFrom('a', 'b'), value })
const message = fc.record({ device: fc.nat(2), readings: fc.array(reading, { minLength: 1, maxLength: 4 }) })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('new' as const),
      messages: fc.array(message, { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('again' as const), back: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('rebalance' as const, 'restart' as const) }) },
)

/** What is to be seen of a log: by offset how many values of the message took the place of others. */
type Seen = Map<number, number>

const metric = { inc: () => undefined, set: () => undefined }

/** The real one over a log. */
function seen(steps: readonly Step[]): Seen {
  const log: Message[] = []
  const found: Seen = new Map()
  let offset = 0
  const overwritten = { inc: (count: number) => found.set(offset, (found.get(offset) ?? 0) + count) }
  const start = () => new RecentValues({ metrics: { overwritten, rememberedTimes: metric } as never })
  let [recent, table, progress] = [start(), new SeriesTable(), { log: 'one', partition: 0, revoked: false }]
  const read = (from: number) => {
    for (offset = from; offset < log.length; offset += 1) {
      const records = [recordOf(log[offset])]
      const decoded = decodeRecords(records, table)
      const overwrites = recent.look({
        slice: { progress, firstOffset: offset, records, decoded } as never,
        ...decoded,
      })
      expect(overwrites.length, 'one letter at most, when something was counted').toBe(
        found.has(offset) && overwrites.length > 0 ? 1 : 0,
      )
    }
  }
  for (const step of steps) {
    if (step.kind === 'new') {
      log.push(...step.messages)
      read(log.length - step.messages.length)
    } else if (step.kind === 'again') read(Math.max(0, log.length - step.back))
    else {
      if (step.kind === 'restart') [recent, table] = [start(), new SeriesTable()]
      progress = { ...progress }
      recent.forget()
    }
  }
  return found
}

function recordOf(message: Message | undefined): LogRecord {
  const readings = message?.readings.map(
    ({ t, field, value }) => `{"ts":${T + t},${JSON.stringify(field)}:${JSON.stringify(value)}}`,
  )
  return {
    key: `demo/device-${message?.device}`,
    value: Buffer.from(`[${readings?.join()}]`),
    ms: T,
    ns: 0,
    headers: undefined,
  }
}

interface Wrong {
  readonly countsRepeats?: boolean
  readonly countsEqual?: boolean
  readonly countsItself?: boolean
  readonly mixesKinds?: boolean
  readonly newestOnly?: boolean
  readonly survives?: boolean
}

/** The naive one, which keeps everything. */
function expected(steps: readonly Step[], wrong: Wrong = {}): Seen {
  const log: Message[] = []
  const found: Seen = new Map()
  let known = new Map<string, { value: Value; offset: number }>()
  let newest = new Map<string, number>()
  let behind = 0
  const read = (from: number) => {
    for (let offset = from; offset < log.length; offset++) {
      if (offset < behind && wrong.countsRepeats !== true) continue
      behind = Math.max(behind, offset + 1)
      for (const { t, field, value: given } of log[offset]?.readings ?? []) {
        const value = Object.is(given, -0) ? 0 : given
        const series = `${log[offset]?.device} ${field} ${wrong.mixesKinds === true ? '' : typeof value}`
        const before = known.get(`${series} ${t}`)
        known.set(`${series} ${t}`, { value, offset })
        const isLate = t < (newest.get(series) ?? 0)
        newest.set(series, Math.max(t, newest.get(series) ?? 0))
        if (before === undefined || (isLate && wrong.newestOnly === true)) continue
        const isOther = before.offset !== offset || wrong.countsItself === true
        if (isOther && (before.value !== value || wrong.countsEqual === true))
          found.set(offset, (found.get(offset) ?? 0) + 1)
      }
    }
  }
  for (const step of steps) {
    if (step.kind === 'new') {
      log.push(...step.messages)
      read(log.length - step.messages.length)
    } else if (step.kind === 'again') read(Math.max(0, log.length - step.back))
    else if (wrong.survives !== true) {
      known = new Map()
      newest = new Map()
      if (step.kind === 'restart') behind = 0
    }
  }
  return found
}

const runs = { numRuns: lasting({ gate: 1000, long: 20_000 }), seed: 10 }
const isAsExpected = (wrong: Wrong) =>
  fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
    expect(seen(steps)).toEqual(expected(steps, wrong))
  })

describe('values that take the place of others', { timeout: 600_000 }, () => {
  it('are seen as a memory without bound would see them', () => {
    fc.assert(isAsExpected({}), runs)
  })

  it.each<[string, Wrong]>([
    ['counts what is read again', { countsRepeats: true }],
    ['counts equal values', { countsEqual: true }],
    ['counts values of one message', { countsItself: true }],
    ['takes the kinds for one', { mixesKinds: true }],
    ['knows the newest time only', { newestOnly: true }],
    ['remembers over restarts', { survives: true }],
  ])('known-wrong: one that %s is told from it', (_, wrong) => {
    expect(fc.check(isAsExpected(wrong), runs).failed).toBe(true)
  })

  it('are seen of the last 200,000 series and of 65,536 times before their newest, and nothing wrong is seen beyond', () => {
    const names = { tenant: 'demo', device: 'd', stream: 'telemetry', type: 'float' as const }
    const many = Array.from({ length: 250_000 }, (_, i): Series => ({ ...names, field: `f${i}` }))
    const one: Series[] = [{ ...names, field: 'one' }]
    const times = Array.from({ length: 100_000 }, (_, i) => T + i)
    const [series, older] = [counting(), counting()]
    series.look(many.map((each) => ({ series: each, ms: T, value: 1 })))
    expect(series.look(many.toReversed().map((each) => ({ series: each, ms: T, value: 2 })))).toBe(200_000)
    older.look(times.flatMap((ms) => one.map((each) => ({ series: each, ms, value: 1 }))))
    expect(older.remembered()).toBe(65_537)
    expect(older.look(times.toReversed().flatMap((ms) => one.map((each) => ({ series: each, ms, value: 2 }))))).toBe(
      65_537,
    )
  })
})

/** What is counted of points, each of a message of its own. */
function counting() {
  let [count, remembered, firstOffset] = [0, 0, 0]
  const overwritten = { inc: (more: number) => (count += more) }
  const rememberedTimes = { set: (size: number) => (remembered = size) }
  const recent = new RecentValues({ metrics: { overwritten, rememberedTimes } as never })
  return {
    remembered: () => remembered,
    look: (points: readonly { series: Series; ms: number; value: number }[]): number => {
      count = 0
      const progress = { log: 'one', partition: 0, revoked: false }
      const columns = {
        series: points.map((point) => point.series),
        ms: points.map((point) => point.ms),
        ns: points.map(() => 0),
        values: points.map((point) => point.value),
      }
      recent.look({
        slice: { progress, firstOffset, records: points } as never,
        points: columns,
        record: points.map((_, i) => i),
        element: points.map(() => 0),
      })
      firstOffset += points.length
      return count
    },
  }
}
