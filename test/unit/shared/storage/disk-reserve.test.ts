import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  checkpointBytes,
  parseReserve,
  reserveBytes,
  reserveFileBytes,
} from '../../../../shared/storage/disk-reserve.ts'
import { DiskForecast } from '../../../../shared/storage/disk-forecast.ts'

const MB = 1024 * 1024
const GB = 1024 * MB

describe('the reserve', () => {
  it.for([
    { setting: undefined, size: 10_000 * GB, bytes: GB },
    { setting: undefined, size: 10 * GB, bytes: GB / 2 },
    { setting: '500MB', size: 10 * GB, bytes: 500 * MB },
    { setting: '20%', size: 10 * GB, bytes: 2 * GB },
    { setting: '1.5 GB', size: 10 * GB, bytes: 1.5 * GB },
    { setting: undefined, size: 24 * MB, bytes: 5 * MB },
    { setting: '1MB', size: 24 * MB, bytes: 5 * MB },
  ])('of $setting on $size bytes is $bytes', ({ setting, size, bytes }) => {
    expect(reserveBytes(setting, size)).toBe(Math.ceil(bytes))
  })

  it.for(['', '5', '5 %', '0.5GB', '50%'])('takes "%s"', (text) => {
    if (text === '') expect(() => parseReserve(text)).toThrow('is not a size')
    else parseReserve(text)
  })

  it.for(['-1', '51%', '1 GiB', 'all', '5%%', '1e3', 'Infinity'])('refuses "%s"', (text) => {
    expect(() => parseReserve(text)).toThrow('is not a size')
  })

  it('is enough for one checkpoint, and more than the file that is given back, on a disk of any size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 10_000_000 }), (megabytes) => {
        const reserve = reserveBytes(undefined, megabytes * MB)
        expect(reserve).toBeGreaterThanOrEqual(checkpointBytes(megabytes * MB))
        expect(reserve).toBeGreaterThan(reserveFileBytes(megabytes * MB))
      }),
    )
  })
})

describe('the forecast', () => {
  it('is unknown at first, and while nothing grows', () => {
    const forecast = new DiskForecast()
    expect(forecast.untilUsed(100)).toBeUndefined()
    forecast.note(0, 10)
    forecast.note(9_000, 20)
    expect(forecast.untilUsed(100)).toBeUndefined()
    forecast.note(20_000, 10)
    expect(forecast.untilUsed(100)).toBeUndefined()
  })

  it('is exact for a steady rate, however long it is watched', () => {
    fc.assert(
      fc.property(fc.integer({ min: 11, max: 5_000 }), fc.integer({ min: 1, max: 1_000 }), (steps, perStep) => {
        const forecast = new DiskForecast()
        for (let i = 0; i <= steps; i++) forecast.note(i * 60_000, i * perStep)
        const until = forecast.untilUsed((steps + 10) * perStep)
        expect((until?.ms ?? NaN) / 60_000).toBeGreaterThan(9)
        // Later samples are further apart.
        expect((until?.ms ?? NaN) / 60_000).toBeLessThan(150)
      }),
      { numRuns: 50 },
    )
  })
})
