import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { timeFromNumber } from '../../../../shared/decoders/device-time.ts'
import { RECEIVED, stored } from './stored.ts'

const hour = '2026-11-29T11:00:00Z'
/** One instant in every form that says which one it is; then times that say none. */
const forms: readonly (readonly [time: string, at: string | undefined, doubt?: string])[] = [
  ['"2026-11-29T11:00:00Z"', hour],
  ['"2026-11-29t11:00:00z"', hour],
  ['"2026-11-29 11:00:00 Z"', hour],
  ['"2026-11-29 11:00:00 UTC"', hour],
  ['"2026-11-29T12:00:00+01"', hour],
  ['"2026-11-29T12:00:00+0100"', hour],
  ['"2026-11-29T16:30:00+05:30"', hour],
  ['"2026-11-29T05:30:00-0530"', hour],
  ['"2026-11-29T10:00:00\u221201:00"', hour],
  ['"2026-11-29T11:00Z"', hour],
  ['"2026-11-29T11Z"', hour],
  ['"20261129T110000Z"', hour],
  ['"20261129T1200+0100"', hour],
  ['"2026-333T11:00:00Z"', hour],
  ['"2026333T110000Z"', hour],
  ['"2026-W48-7T11:00:00Z"', hour],
  ['"2026W487T110000Z"', hour],
  ['"2026-11-29T11:00:00,000Z"', hour],
  ['"2026-11-29T24:00:00+13:00"', hour],
  ['1795950000', hour],
  ['"1795950000"', hour],
  ['"1795950000.0"', hour],
  ['" 1795950000000 "', hour],
  ['1795950000000000', hour],
  ['"1795950000000000000"', hour],
  ['"1.79595e9"', hour],
  ['"2026-11-29T11:00:00"', RECEIVED, 'time_without_zone'],
  ['"2026-11-29"', RECEIVED, 'time_without_zone'],
  ['"20261129T110000"', RECEIVED, 'time_without_zone'],
  ['"20261129110000"', RECEIVED, 'time_without_zone'],
  ['"29.11.2026 11:00"', RECEIVED, 'time_without_zone'],
  ['"11/29/2026 11:00:00 AM"', RECEIVED, 'time_without_zone'],
  ['"2026/11/29 11:00:00"', RECEIVED, 'time_without_zone'],
  ['"11:00:00"', RECEIVED, 'time_without_zone'],
  ['""', RECEIVED, 'clock_not_set'],
  ['0', RECEIVED, 'clock_not_set'],
  ['"0"', RECEIVED, 'clock_not_set'],
  ['3600', RECEIVED, 'clock_not_set'],
  ['"1970-01-01T00:00:12Z"', RECEIVED, 'clock_not_set'],
  ['"0001-01-01T00:00:00Z"', RECEIVED, 'clock_not_set'],
  ['"0000-00-00 00:00:00"', RECEIVED, 'clock_not_set'],
  ['null', RECEIVED],
  ['nan', RECEIVED],
  ['"1985-04-12T23:20:50Z"', '1985-04-12T23:20:50Z', 'clock_suspect'],
  ['"2026-11-30T11:59:59Z"', '2026-11-30T11:59:59Z'],
  ['"2026-11-30T12:00:01Z"', undefined],
  ['4102444800', undefined],
  ['"2026-02-30T11:00:00Z"', undefined],
  ['"2026-366T11:00:00Z"', undefined],
  ['"2026-W54-1T11:00:00Z"', undefined],
  ['"2026-11-29T25:00:00Z"', undefined],
  ['"2026-11-29T11:00:00+25:00"', undefined],
  ['"yesterday"', undefined],
  ['{}', undefined],
  ['[1795950000]', undefined],
]

describe('times as devices write them', () => {
  it.each(forms)('%s', (time, expected, doubt) => {
    const { fields, faults, doubts } = stored(`{"ts":${time},"a":1}`)
    const found = fields.flatMap(([field, one]) => (field === 'a' ? [one[1] ?? RECEIVED] : []))
    expect(found).toEqual(expected === undefined ? [] : [expected])
    expect(doubts).toEqual(doubt === undefined ? [] : [doubt])
    expect(faults).toHaveLength(expected === undefined ? 1 : 0)
    // A local time is kept as it was written; no other is.
    const kept = fields.find(([field]) => field === 'ts')?.[1]
    expect(kept).toEqual(doubt === 'time_without_zone' ? [JSON.parse(String(time))] : undefined)
  })

  it('of which another is better: the field that says no time costs nothing', () => {
    expect(stored('{"time":"2026-11-29 12:00:00","ts":1795950000,"a":1}').fields).toEqual([
      ['time', ['2026-11-29 12:00:00', hour]],
      ['a', [1, hour]],
    ])
  })
})

describe('a number of plain digits', () => {
  /** Milliseconds and nanoseconds of a number as the unit of its size has it; undefined beyond 2262. */
  function expected(digits: string): { ms: number; ns: number } | undefined {
    const scale = digits.length <= 11 ? 10n ** 9n : digits.length <= 14 ? 10n ** 6n : digits.length <= 17 ? 1000n : 1n
    const nanoseconds = BigInt(digits) * scale
    if (nanoseconds >= 2n ** 63n - 2n) return undefined
    return { ms: Number(nanoseconds / 1_000_000n), ns: Number(nanoseconds % 1_000_000n) }
  }

  function read(text: string): { ms: number; ns: number } | undefined {
    const into = { ms: 0, ns: 0 }
    const bytes = Buffer.from(text)
    return timeFromNumber(bytes, 0, bytes.length, into) === undefined ? into : undefined
  }

  it('is the same time however it is written, exactly', () => {
    const digits = fc.integer({ min: 1, max: 19 }).chain((length) => {
      return fc.bigInt({ min: 10n ** BigInt(length - 1), max: 10n ** BigInt(length) - 1n }).map(String)
    })
    fc.assert(
      fc.property(digits, (text) => {
        expect(read(text)).toEqual(expected(text))
        expect(read(`${text}.0`)).toEqual(expected(text))
        expect(read(`${text}e0`)).toEqual(expected(text))
      }),
      { numRuns: 2000, examples: [['9223372036854775805'], ['9223372036854775806'], ['99999999999']] },
    )
  })
})
