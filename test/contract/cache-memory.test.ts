import { describe, expect, it } from 'vitest'
import { openMemoryCache } from '../../shared/cache/memory/open.ts'
import type { Cache } from '../../shared/cache/port.ts'
import { createMetrics, type Metrics } from '../../shared/process/metrics.ts'
import { describeCache, fakeTime } from './cache-contract.ts'

describeCache('memory cache', async () => {
  const pass = fakeTime()
  return { cache: openMemoryCache({ maxEntries: 1000, metrics: createMetrics({ defaults: false }) }), pass }
})

async function setAll(cache: Cache, keys: readonly string[], value = 'v'): Promise<void> {
  await cache.setMany(
    keys.map((key) => ({ key, value })),
    60_000,
  )
}

async function valueOf(metrics: Metrics, name: string, result?: string): Promise<number> {
  const { values = [] } = (await metrics.getSingleMetric(name)?.get()) ?? {}
  return values.find(({ labels }) => result === undefined || labels['result'] === result)?.value ?? 0
}

describe('memory cache: bounds', () => {
  it('drops what was used longest ago, reading and setting both being use', async () => {
    const metrics = createMetrics({ defaults: false })
    const cache = openMemoryCache({ maxEntries: 3, metrics })
    await setAll(cache, ['a', 'b', 'c'])
    await cache.get('a')
    await setAll(cache, ['b', 'd'])
    expect(await cache.getMany(['a', 'b', 'c', 'd'])).toEqual(['v', 'v', undefined, 'v'])
    expect(await valueOf(metrics, 'sluice_cache_evictions_total')).toBe(1)
    expect(await valueOf(metrics, 'sluice_cache_entries')).toBe(3)
  })

  it('never holds more than its bound of text, however few entries that is', async () => {
    const metrics = createMetrics({ defaults: false })
    const cache = openMemoryCache({ maxEntries: 1000, metrics })
    const value = 'x'.repeat(8 * 1024 * 1024)
    await setAll(cache, ['a', 'b', 'c', 'd', 'e'], value)
    expect((await cache.getMany(['a', 'b', 'c', 'd', 'e'])).map((one) => one !== undefined)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ])
    // What is replaced, deleted or too large to be kept takes no room.
    await cache.setMany(
      [
        { key: 'c', value: '' },
        { key: 'huge', value: value.repeat(5) },
      ],
      60_000,
    )
    await cache.delete(['d'])
    await setAll(cache, ['f', 'g'], value)
    expect((await cache.getMany(['c', 'd', 'e', 'f', 'g', 'huge'])).map((one) => one?.length)).toEqual([
      0,
      undefined,
      value.length,
      value.length,
      value.length,
      undefined,
    ])
  })

  it('counts hits and misses', async () => {
    const metrics = createMetrics({ defaults: false })
    const cache = openMemoryCache({ maxEntries: 3, metrics })
    await setAll(cache, ['a', 'b'])
    await cache.getMany(['a', 'b', 'c'])
    await cache.get('d')
    expect(await valueOf(metrics, 'sluice_cache_reads_total', 'hit')).toBe(2)
    expect(await valueOf(metrics, 'sluice_cache_reads_total', 'miss')).toBe(2)
  })
})
