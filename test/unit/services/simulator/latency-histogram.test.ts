import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LatencyHistogram } from '../../../../services/simulator/latency-histogram.ts'

describe('the latency histogram', () => {
  it('finds percentiles within a thousandth, and never above the largest', () => {
    const latency = fc.double({ min: 0.1, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(fc.array(latency, { minLength: 1 }), fc.constantFrom(0.5, 0.9, 0.99, 1), (latencies, share) => {
        const histogram = new LatencyHistogram()
        for (const ms of latencies) histogram.add(ms)
        const exact = latencies.sort((a, b) => a - b)[Math.ceil(latencies.length * share) - 1] ?? 0
        expect(histogram.percentile(share)).toBeGreaterThanOrEqual(exact - 0.0006)
        expect(histogram.percentile(share)).toBeLessThanOrEqual(Math.min(exact * 1.001 + 0.001, histogram.max))
      }),
    )
  })

  it('is 0 when nothing was counted, and counts days', () => {
    const histogram = new LatencyHistogram()
    expect(histogram.percentile(0.99)).toBe(0)
    histogram.add(1e12)
    expect(histogram.count).toBe(1)
  })
})
