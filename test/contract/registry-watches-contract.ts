import { describe, expect, it } from 'vitest'
import { MAX_WATCHES, type Watch } from '../../shared/registry/watches-port.ts'
import { openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

const FAR = Date.now() + 3_600_000
const watchOf = (uid: string, untilMs = FAR): Watch => ({ tenant: 'demo', uid, untilMs, who: 'admin' })

export function describeWatches(engine: string, make: MakeRegistryHarness): void {
  describe(`${engine}: watches`, () => {
    it('are known at once to who puts them, and to whoever comes next', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const { watches } = registry
      const { epoch } = watches
      expect([watches.untilMs('demo', 'a'), watches.list(0)]).toEqual([0, []])
      await watches.put(watchOf('a'))
      await watches.put(watchOf('ä'))
      expect(watches.epoch).toBeGreaterThan(epoch)
      expect([watches.untilMs('demo', 'a'), watches.untilMs('other', 'a')]).toEqual([FAR, 0])
      await watches.put(watchOf('a', FAR + 5))
      expect(watches.list(Date.now())).toEqual([watchOf('ä'), watchOf('a', FAR + 5)])
      expect(watches.list(FAR)).toEqual([watchOf('a', FAR + 5)])
      await registry.close()
      const next = await openRegistry(harness)
      expect(next.watches.untilMs('demo', 'a')).toBe(FAR + 5)
    })

    it('are few, however many are put at once; those that have ended make room', async () => {
      const { watches } = await openRegistry(await make())
      const put = await Promise.allSettled(
        Array.from({ length: MAX_WATCHES + 4 }, (_, i) => watches.put(watchOf(`d${i}`))),
      )
      const refused = put.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
      expect(refused.map((reason) => (reason as { code: string }).code)).toEqual(Array(4).fill('rate_limited'))
      const [first] = watches.list(0)
      await watches.put(watchOf(first?.uid ?? '', 1))
      await watches.put(watchOf('another'))
      expect(watches.list(0)).toHaveLength(MAX_WATCHES)
    })
  })
}
