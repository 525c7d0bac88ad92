import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  KEEP_MS,
  MAX_POINTS,
  MIN_POINTS,
  parseTime,
  plausible,
  Rate,
  Series,
} from '../../../../services/query-api/public/series.js'

const point = (time: number, value = 0, arrived = time) => ({ time, value, arrived })

describe('points of a chart', () => {
  it('are in order of time, one per time, the later arrival winning', () => {
    const moments = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 80 })
    fc.assert(
      fc.property(moments, moments, (live, stored) => {
        const series = new Series()
        const last = new Map<number, number>()
        live.forEach((time, index) => {
          series.add(point(time, index))
          last.set(time, index)
        })
        const past = [...new Set(stored)].sort((a, b) => a - b).map((time) => point(time, -1))
        series.addStored(past)
        for (const { time } of past) if (!last.has(time)) last.set(time, -1)
        const expected = [...last].sort(([a], [b]) => a - b)
        expect(series.points.map(({ time, value }) => [time, value])).toEqual(expected)
      }),
    )
  })

  it('stay within their number, whatever their times, and the newest arrival stays', () => {
    const series = new Series()
    for (let i = 0; i < MAX_POINTS * 2; i += 1) {
      series.add({ time: -i, value: i, arrived: i })
      expect(series.points.length).toBeLessThan(MAX_POINTS * 1.2)
    }
    series.prune(0)
    expect(series.points).toHaveLength(MAX_POINTS)
    expect(series.points[0]?.value).toBe(MAX_POINTS * 2 - 1)
    expect(series.points.at(-1)?.value).toBe(MAX_POINTS)
  })

  it('go when they are old, but for the last few of a slow device', () => {
    const series = new Series()
    for (let i = 0; i < 30; i += 1) series.add(point(i))
    series.prune(KEEP_MS + 5)
    expect(series.points).toHaveLength(25)
    series.prune(KEEP_MS * 10)
    expect(series.points.map(({ time }) => time)).toEqual(Array.from({ length: MIN_POINTS }, (_, i) => 10 + i))
  })

  it('of a wrong clock are not drawn beside right ones', () => {
    const now = Date.UTC(2026, 0, 1)
    expect(plausible([point(12_000), point(now), point(now + 9e10)], now)).toEqual([point(now)])
    expect(plausible([point(12_000)], now)).toEqual([point(12_000)])
  })
})

describe('the rate', () => {
  it('is that of the last ten whole seconds', () => {
    const rate = new Rate()
    for (let ms = 0; ms < 60_000; ms += 250) rate.add(ms)
    expect(rate.read(60_000)).toBe(4)
    expect(rate.read(65_000)).toBe(2)
    expect(rate.read(90_000)).toBe(0)
  })
})

describe('times', () => {
  it('keep what is below the millisecond', () => {
    expect(parseTime('2026-01-31T12:00:00Z')).toBe(Date.UTC(2026, 0, 31, 12))
    expect(parseTime('2026-01-31T12:00:00.123456789Z')).toBeCloseTo(Date.UTC(2026, 0, 31, 12) + 123.456, 2)
    expect(parseTime('soon')).toBeNaN()
  })
})
