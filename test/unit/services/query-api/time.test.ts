import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseInterval, parseTime, writeTime } from '../../../../services/query-api/time.ts'
import type { SluiceError } from '../../../../shared/errors.ts'
import { MAX_INSTANT, toNanoseconds } from '../../../../shared/telemetry.ts'

const instant = fc.record({
  ms: fc.integer({ min: 0, max: MAX_INSTANT.ms - 1 }),
  ns: fc.integer({ min: 0, max: 999_999 }),
})

describe('times', () => {
  it('written as RFC 3339 or ms and read again are the same', () => {
    fc.assert(
      fc.property(instant, (time) => {
        expect(parseTime('from', String(writeTime(time, 'rfc3339')))).toEqual(time)
        const looksLikeSeconds = time.ms >= 1e8 && time.ms < 1e11
        const readAgain = () => parseTime('from', String(writeTime(time, 'ms')))
        if (looksLikeSeconds) expect(readAgain).toThrow('seconds')
        else expect(readAgain()).toEqual({ ms: time.ms, ns: 0 })
      }),
    )
  })

  it('in ns are exact, in ms and us cut', () => {
    fc.assert(
      fc.property(instant, (time) => {
        const total = toNanoseconds(time)
        expect(writeTime(time, 'ns')).toBe(String(total))
        expect(writeTime(time, 'ms')).toBe(Number(total / 1_000_000n))
        // Beyond 2^53 us, in the year 2255, a number holds them no more.
        if (total < 9_007_199_254_740_991_000n) expect(writeTime(time, 'us')).toBe(Number(total / 1000n))
      }),
    )
  })

  it('any text is a time or bad_request', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9TZ:.+ -]{1,35}$/)), (text) => {
        try {
          const { ms, ns } = parseTime('from', text)
          expect(Number.isSafeInteger(ms) && ms >= 0 && Number.isSafeInteger(ns) && ns >= 0 && ns < 1e6).toBe(true)
        } catch (error) {
          expect((error as SluiceError).code).toBe('bad_request')
        }
      }),
    )
  })
})

describe('intervals', () => {
  it.each([
    ['1', 1],
    ['1ms', 1],
    ['10s', 10_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['366d', 31_622_400_000],
  ])('%s', (text, ms) => expect(parseInterval(text)).toBe(ms))

  it.each(['', '0', '0s', '-1', '1.5s', '1w', '1 s', '1S', 's', '367d', 'constructor', '1e3', '٣s'])(
    '%j is none',
    (text) => {
      expect(() => parseInterval(text)).toThrow(/interval/)
    },
  )
})
