import { describe, expect, it } from 'vitest'
import type { Message } from '../../shared/sessions/message.ts'
import { PATIENCE } from '../patience.ts'
import { APP, KEPT, message, retainedBelow, type MakeSessionsHarness } from './sessions-harness.ts'

/** What every store of sessions promises of retained messages and wills. */
export function describeRetainedAndWills(name: string, make: MakeSessionsHarness): void {
  describe(`${name}: retained messages`, () => {
    it('are the last of their topic, found by filters, over a restart', async () => {
      const first = await make()
      const topics = [
        't/a/1/status',
        't/a/1',
        't/a/1/status/x',
        't/a/10/status',
        't/b/1/status',
        'x',
        'x/y',
        'é/ü',
        'x0',
      ]
      for (const topic of topics) expect(await first.store.keep(message(topic, 'old', { retain: true }))).toBe(true)
      await first.store.keep(message('x/y', 'new', { retain: true }))
      await first.store.keep(message('x0', '', { retain: true }))
      const { store } = await first.reopen()
      const found: [string[], string[]][] = [
        [['x'], ['x old']],
        [['x/#'], ['x old', 'x/y new']],
        [
          ['x/#', 'x/+', 'x'],
          ['x old', 'x/y new'],
        ],
        [['t/a/1/#'], ['t/a/1 old', 't/a/1/status old', 't/a/1/status/x old']],
        [['t/+/1/status'], ['t/a/1/status old', 't/b/1/status old']],
        [['+/ü', 'none'], ['é/ü old']],
        [['x0', 'nothing/#'], []],
      ]
      for (const [filters, texts] of found) expect(await retainedBelow(store, ...filters)).toEqual(texts)
      expect(await retainedBelow(store, '#')).toHaveLength(topics.length - 1)
    })

    it('are a hundred topics of a device', async () => {
      const { store } = await make()
      const keep = (n: number, payload = 'x'): Promise<boolean> => store.keep(message(`t/a/1/s/${n}`, payload))
      const kept = await Promise.all(Array.from({ length: 102 }, (_, n) => keep(n)))
      expect(kept.filter((one) => !one)).toHaveLength(2)
      expect([await keep(0, ''), await keep(101), await keep(1, 'y'), await keep(100)]).toEqual([
        true,
        true,
        true,
        false,
      ])
      expect(await store.keep(message('t/a/2/s', 'x'))).toBe(true)
      expect(await retainedBelow(store, 't/a/1/#')).toHaveLength(100)
    })
  })

  describe(`${name}: wills`, () => {
    const willOf = (delay: number): Message => {
      const properties = { bytes: Buffer.alloc(0), expiresAt: undefined, will: { delay, expiry: undefined } }
      return message('w/x', 'gone', delay === 0 ? {} : { properties })
    }

    it('are true when their connection ends, and the caller publishes them', async () => {
      const harness = await make()
      const lease = await harness.store.claim(APP, KEPT)
      await harness.store.putWill(lease, willOf(0))
      expect(await harness.store.takeWill(lease, willOf(0))).toBe(true)
      harness.store.release(lease)
      await harness.store.claim('app//other', KEPT)
      expect(harness.wills).toEqual([])
    })

    it('that wait are published when they are due, and not when their client is back', async () => {
      const { store, wills } = await make()
      for (const id of ['app//stays', 'app//returns']) {
        const lease = await store.claim(id, KEPT)
        await store.putWill(lease, willOf(1))
        await store.postponeWill(lease, { ...willOf(1), payload: Buffer.from(id) })
        store.release(lease)
      }
      await store.claim('app//returns', KEPT)
      await expect.poll(() => wills, PATIENCE).toEqual(['app w/x app//stays'])
    })

    it('that wait, wait on after a restart', async () => {
      const first = await make()
      const lease = await first.store.claim(APP, KEPT)
      await first.store.putWill(lease, willOf(1))
      await first.store.postponeWill(lease, willOf(1))
      first.store.release(lease)
      const { wills } = await first.reopen()
      await expect.poll(() => wills, PATIENCE).toEqual(['app w/x gone'])
    })
  })
}
