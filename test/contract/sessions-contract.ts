import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Message } from '../../shared/sessions/message.ts'
import type { Lease, Queued, SessionStore, SessionWish } from '../../shared/sessions/port.ts'
import { PATIENCE } from '../patience.ts'
import {
  all,
  APP,
  away,
  CLEAN,
  KEPT,
  ME,
  message,
  retainedBelow,
  type MakeSessionsHarness,
} from './sessions-harness.ts'

/** `payload`, then the id that it was sent with, and "released". */
async function queueOf(store: SessionStore, clientId: string): Promise<string[]> {
  return (await all(store.queue(clientId))).map(({ message: { payload }, messageId, isReleased }) =>
    [payload.toString(), ...(messageId === undefined ? [] : [messageId]), ...(isReleased ? ['released'] : [])].join(
      ' ',
    ),
  )
}

const later = async (queued: AsyncIterable<Queued>): Promise<Queued> => {
  const [first] = await all(queued)
  if (first === undefined) throw new Error('nothing is queued')
  return first
}

/** What every store of sessions promises. */
export function describeSessions(name: string, make: MakeSessionsHarness): void {
  describe(`${name}: sessions`, () => {
    it('are present when an earlier connection left them, subscriptions or not, here and after a restart', async () => {
      const first = await make()
      const presence = async (store: SessionStore, wish: SessionWish): Promise<boolean> => {
        const lease = await store.claim(ME, wish)
        expect(store.leaseOf(ME)).toBe(lease)
        store.release(lease)
        expect(store.leaseOf(ME)).toBeUndefined()
        return lease.isPresent
      }
      expect([await presence(first.store, KEPT), await presence(first.store, KEPT)]).toEqual([false, true])
      const { store } = await first.reopen()
      expect([await presence(store, KEPT), await presence(store, { ...KEPT, isNew: true })]).toEqual([true, false])
      expect([await presence(store, KEPT), await presence(store, CLEAN)]).toEqual([true, false])
      expect(await presence(store, KEPT)).toBe(false)
    })

    it('end as many seconds after their connection as was said last', async () => {
      const { store } = await make()
      for (const [clientId, seconds] of [
        ['a/1/ends', 1],
        ['a/1/at-once', 0],
        ['a/1/lasts', 100],
      ] as const) {
        await away(store, clientId, 't/a/1/cmd/#', { clean: false, expiry: 50 })
        const lease = await store.claim(clientId, { clean: false, expiry: 50 })
        store.endAfter(clientId, seconds)
        store.release(lease)
      }
      await expect.poll(() => store.subscriptions('a/1/ends'), PATIENCE).toEqual([])
      const isPresent = async (clientId: string): Promise<boolean> => (await store.claim(clientId, KEPT)).isPresent
      expect(await Promise.all(['a/1/ends', 'a/1/at-once', 'a/1/lasts'].map(isPresent))).toEqual([false, false, true])
    })

    it('keep subscriptions with their options until they are taken back, or the session is forgotten', async () => {
      const first = await make()
      const lease = await first.store.claim(APP, KEPT)
      const subscriptions = [
        { topic: 'a/#', qos: 2, nl: true, rap: false },
        { topic: 'b/+', qos: 0, nl: false, rap: true },
        { topic: 'c', qos: 1, nl: false, rap: false },
      ]
      await first.store.subscribe(lease, [{ topic: 'c', qos: 2 }, ...subscriptions])
      await first.store.subscribe(lease, subscriptions)
      await first.store.unsubscribe(lease, ['c', 'never there'])
      first.store.release(lease)
      const { store } = await first.reopen()
      const kept = (await store.subscriptions(APP)).toSorted((one, other) => (one.topic < other.topic ? -1 : 1))
      expect(kept).toEqual(subscriptions.slice(0, 2))
      await store.claim(APP, { ...KEPT, isNew: true })
      expect(await store.subscriptions(APP)).toEqual([])
    })

    it('of a login that is no more are gone with all they kept, and its retained messages; no others', async () => {
      const { store } = await make()
      for (const id of ['a/1/x', 'a/1/y', 'a/11/x'])
        await away(store, id, `t/${id.slice(0, id.lastIndexOf('/'))}/cmd/#`)
      for (const topic of ['t/a/1/status', 't/a/1', 't/a/11/status']) await store.keep(message(topic, 'on'))
      await store.send(message('t/a/1/cmd/x', 'kept'))
      await store.forget('a/1')
      expect([await queueOf(store, 'a/1/x'), await store.subscriptions('a/1/y')]).toEqual([[], []])
      expect(await store.subscriptions('a/11/x')).toHaveLength(1)
      expect(await retainedBelow(store, '#')).toEqual(['t/a/11/status on'])
    })
  })

  describe(`${name}: messages`, () => {
    it('wait for every session that wants them, and for no other, over a restart', async () => {
      const first = await make()
      await away(first.store, ME, 't/a/1/cmd/#')
      await away(first.store, 'a/1/other', 't/a/1/notice')
      await away(first.store, APP, 't/+/+/cmd/x')
      const dull = await first.store.claim('app//dull', KEPT)
      await first.store.subscribe(dull, [{ topic: '#', qos: 0 }])
      expect(await first.store.send(message('t/a/1/cmd/x', 'one'))).toMatchObject({ stored: 2, full: 0 })
      expect(await first.store.send(message('t/a/1/cmd/y', 'two', { qos: 2 }))).toMatchObject({ stored: 1, full: 0 })
      expect(await first.store.send(message('elsewhere', 'none'))).toMatchObject({ stored: 0 })
      expect(await first.store.send(message('t/a/1/cmd/x', 'light', { qos: 0 }))).toMatchObject({ stored: 0 })
      const { store } = await first.reopen()
      expect(await queueOf(store, ME)).toEqual(['one', 'two'])
      expect([await queueOf(store, APP), await queueOf(store, 'a/1/other')]).toEqual([['one'], []])
      expect(await queueOf(store, 'app//dull')).toEqual([])
    })

    it('keep topic, payload, QoS, and what MQTT 5 gives them', async () => {
      const { store } = await make()
      await away(store, ME, 't/a/1/cmd/#')
      const expiresAt = Date.now() + 100_000
      const payload = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 256))
      const properties = { bytes: Buffer.from([3, 0, 1, 97]), expiresAt }
      const sent: Message = { topic: 't/a/1/cmd/é', payload, qos: 2, retain: false, expiresMs: expiresAt, properties }
      await store.send(sent)
      expect((await later(store.queue(ME))).message).toEqual(sent)
    })

    it('have the id that they were sent with, of QoS 2 after a restart as well, and go when they are acknowledged', async () => {
      const first = await make()
      await away(first.store, ME, 't/a/1/cmd/#')
      for (const qos of [1, 2, 2] as const) await first.store.send(message('t/a/1/cmd/x', `q${qos}`, { qos }))
      const lease = await first.store.claim(ME, KEPT)
      const numbers = (await all(first.store.queue(ME))).map(({ number }) => number)
      for (const [index, number] of numbers.entries()) {
        const delivery = { number, messageId: index + 7, isReleased: false, qos: index === 0 ? 1 : 2 }
        await first.store.noteDelivery(lease, delivery)
      }
      await first.store.noteDelivery(lease, { number: numbers[1] ?? '', messageId: 8, isReleased: true, qos: 0 })
      await first.store.acknowledge(lease, numbers[0] ?? '')
      expect(await queueOf(first.store, ME)).toEqual(['q2 8 released', 'q2 9'])
      const { store } = await first.reopen()
      expect(await queueOf(store, ME)).toEqual(['q2 8 released', 'q2 9'])
    })

    it('are a thousand of a session, or four MiB and one more; what is taken makes room', async () => {
      const { store } = await make()
      await away(store, ME, 't/a/1/cmd/#')
      const big = 'x'.repeat(1024 * 1024)
      const outcomes = []
      for (let n = 0; n < 6; n += 1) outcomes.push((await store.send(message('t/a/1/cmd/x', big))).full)
      expect(outcomes.slice(0, 3)).toEqual([0, 0, 0])
      expect(outcomes.slice(4)).toEqual([1, 1])
      const lease = await store.claim(ME, KEPT)
      for (const { number } of await all(store.queue(ME))) await store.acknowledge(lease, number)
      const sent = Array.from({ length: 1_001 }, (_, n) => store.send(message('t/a/1/cmd/x', String(n))))
      expect((await Promise.all(sent)).reduce((sum, { full }) => sum + full, 0)).toBe(1)
      expect(await queueOf(store, ME)).toEqual([...Array(1_000).keys()].map(String))
    })

    it('whatever is sent, given out, acknowledged and begun anew: what waits is what was not acknowledged', async () => {
      const step = fc.constantFrom('send', 'send', 'acknowledge', 'clean', 'reopen')
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          let { store, reopen } = await make()
          let expected: string[] = []
          let lease: Lease | undefined
          await away(store, ME, 't/a/1/cmd/#')
          for (const [index, what] of steps.entries()) {
            if (what === 'send') {
              await store.send(message('t/a/1/cmd/x', String(index)))
              expected.push(String(index))
            } else if (what === 'acknowledge') {
              lease ??= await store.claim(ME, KEPT)
              const [first] = await all(store.queue(ME))
              if (first !== undefined) await store.acknowledge(lease, first.number)
              expected.shift()
            } else if (what === 'clean') {
              if (lease !== undefined) store.release(lease)
              lease = undefined
              store.release(await store.claim(ME, CLEAN))
              await away(store, ME, 't/a/1/cmd/#')
              expected = []
            } else {
              if (lease !== undefined) store.release(lease)
              lease = undefined
              ;({ store, reopen } = await reopen())
            }
            expect(await queueOf(store, ME)).toEqual(expected)
          }
        }),
        { numRuns: 8 },
      )
    })

    it('of QoS 2 that were taken are known until they are released', async () => {
      const first = await make()
      const lease = await first.store.claim(ME, KEPT)
      await first.store.noteIncoming(lease, 5)
      await first.store.noteIncoming(lease, 6)
      await first.store.dropIncoming(lease, 6)
      first.store.release(lease)
      const { store } = await first.reopen()
      const again = await store.claim(ME, KEPT)
      expect([await store.hasIncoming(again, 5), await store.hasIncoming(again, 6)]).toEqual([true, false])
      store.release(again)
      const clean = await store.claim(ME, { ...KEPT, isNew: true })
      expect(await store.hasIncoming(clean, 5)).toBe(false)
    })
  })
}
