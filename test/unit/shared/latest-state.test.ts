import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeLatest,
  encodeLatest,
  LatestStream,
  MAX_AHEAD_MS,
  MAX_LATEST_FIELDS,
} from '../../../shared/latest-state.ts'
import type { StreamState } from '../../../shared/registry/port.ts'
import type { FieldType, PointValue, Series } from '../../../shared/telemetry.ts'

const names = { tenant: 'demo', device: 'first', stream: 'telemetry' }
const seriesOf = (field: string, type: FieldType = 'float'): Series => ({ ...names, field, type })

const fieldName = fc.oneof(
  fc.constantFrom('a', 'b', 'constructor', 'toString', 'a.__proto__', 'é'),
  fc.string({ minLength: 1 }),
)
const typed = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => ({ type: 'float' as const, value })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((wide) => {
    const small = Number(wide)
    return { type: 'integer' as const, value: Number.isSafeInteger(small) ? small : wide }
  }),
  fc.boolean().map((value) => ({ type: 'boolean' as const, value })),
  fc.string({ unit: 'grapheme' }).map((value) => ({ type: 'string' as const, value })),
)
const instant = fc.record({ ms: fc.nat({ max: 2 ** 43 }), ns: fc.nat(999_999) }, { noNullPrototype: true })

const state: fc.Arbitrary<StreamState> = fc
  .tuple(
    fc.dictionary(
      fieldName,
      fc.tuple(instant, typed).map(([time, value]) => ({ time, ...value })),
      { noNullPrototype: true },
    ),
    fc.nat(),
    fc.string(),
    fc.nat(),
    fc.nat(),
  )
  .map(([fields, lastSeenMs, log, partition, offset]) => ({ ...names, fields, lastSeenMs, log, partition, offset }))

describe('latest state in the cache', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(state, (one) => {
        expect(decodeLatest(encodeLatest(one))).toEqual(one)
      }),
    )
  })

  it.each([
    '',
    'x',
    'null',
    '[]',
    '{}',
    '{"fields":{}}',
    '{"fields":{},"offset":1,"partition":0,"lastSeenMs":1}',
    '{"fields":{"a":[1]},"log":"l","offset":1,"partition":0,"lastSeenMs":1}',
  ])('that is not ours is none: %s', (text) => expect(decodeLatest(text)).toBeUndefined())
})

interface Step {
  readonly field: string
  readonly ms: number
  readonly ns: number
  readonly value: PointValue
  readonly received: number
}

const step: fc.Arbitrary<Step> = fc.record({
  field: fc.constantFrom('a', 'b', 'constructor'),
  ms: fc.oneof(fc.nat(5), fc.constantFrom(MAX_AHEAD_MS, MAX_AHEAD_MS + 1, MAX_AHEAD_MS + 2)),
  ns: fc.nat(2),
  value: fc.nat(),
  received: fc.nat(1),
})

function merged(steps: readonly Step[], from?: StreamState): LatestStream {
  const stream = new LatestStream(names, from)
  for (const [offset, { field, ms, ns, value, received }] of steps.entries()) {
    if (stream.covers('l', 0, offset)) continue
    stream.see({ ms: received }, 'l', 0, offset)
    stream.merge(seriesOf(field), ms, ns, value, received)
  }
  return stream
}

describe('merging', () => {
  it('keeps the newest time per field, the later of equals, and no time far ahead of its receiving', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1 }), (steps) => {
        const result = merged(steps).toState()
        for (const field of ['a', 'b', 'constructor']) {
          const candidates = steps.filter((one) => one.field === field && one.ms <= one.received + MAX_AHEAD_MS)
          // A stable sort: of equal times the later one is last.
          const winner = candidates.toSorted((x, y) => x.ms - y.ms || x.ns - y.ns).at(-1)
          const expected = winner && { time: { ms: winner.ms, ns: winner.ns }, type: 'float', value: winner.value }
          expect(Object.hasOwn(result.fields, field) ? result.fields[field] : undefined).toEqual(expected)
        }
        expect(result.lastSeenMs).toBe(Math.max(...steps.map(({ received }) => received)))
        expect([result.partition, result.offset]).toEqual([0, steps.length - 1])
      }),
    )
  })

  it('goes on from a flushed state, and a replay never shows anything older than it', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1 }), fc.nat(), (steps, cut) => {
        const flushed = merged(steps.slice(0, 1 + (cut % steps.length))).toState()
        expect(merged(steps, flushed).toState()).toEqual(merged(steps).toState())
        for (let replayed = 0; replayed <= flushed.offset; replayed++) {
          expect(merged(steps.slice(0, replayed), flushed).toState()).toEqual(flushed)
        }
      }),
    )
  })

  it('copies: a state given out does not change', () => {
    const stream = merged([{ field: 'a', ms: 1, ns: 0, value: 1, received: 1 }])
    const before = stream.toState()
    stream.merge(seriesOf('a'), 2, 0, 2, 2)
    expect(before.fields['a']?.value).toBe(1)
  })

  it('keeps a bounded number of fields; one that was displaced comes back with its next value', () => {
    const stream = new LatestStream(names)
    for (let n = 0; n <= MAX_LATEST_FIELDS; n++) stream.merge(seriesOf(`f${n}`), n, 0, n, n)
    const { fields } = stream.toState()
    expect(Object.keys(fields)).toHaveLength(MAX_LATEST_FIELDS)
    expect(fields['f0']).toBeUndefined()
    stream.merge(seriesOf('f0'), 1, 0, 7, 1)
    expect(stream.toState().fields['f0']?.value).toBe(7)
  })
})
