import { describe, expect, it } from 'vitest'
import { MAX_SHARED } from '../../shared/sessions/bounds.ts'
import type { Lease, SessionStore, SessionWish } from '../../shared/sessions/port.ts'
import { PATIENCE } from '../patience.ts'
import { all, CLEAN, KEPT, message, type MakeSessionsHarness, type SessionsHarness } from './sessions-harness.ts'

const SHARE = '$share/g/a/#'

async function member(store: SessionStore, clientId: string, wish: SessionWish = CLEAN, qos = 1): Promise<Lease> {
  const lease = await store.claim(clientId, wish)
  await store.join(lease, SHARE, qos)
  if (!wish.clean) await store.subscribe(lease, [{ topic: SHARE, qos }])
  return lease
}

async function send(store: SessionStore, count: number, more: { qos?: 1 | 2; from?: number } = {}): Promise<void> {
  const { qos = 1, from = 0 } = more
  for (let index = from; index < from + count; index += 1) await store.send(message('a/b', `m${index}`, { qos }))
}

async function queueOf(store: SessionStore, clientId: string): Promise<string[]> {
  return (await all(store.queue(clientId))).map(({ message: { payload } }) => payload.toString())
}

const seen = ({ shared }: SessionsHarness): Promise<readonly string[]> => Promise.resolve(shared)

/** What every store promises about groups of shared subscriptions. */
export function describeShared(name: string, make: MakeSessionsHarness): void {
  describe(`${name}: a group`, () => {
    it('has each message for one member, by turns, at the lower QoS, and kept for it whatever its session is', async () => {
      const harness = await make()
      const { store } = harness
      await member(store, 'app//1')
      await member(store, 'app//2', KEPT)
      await member(store, 'other//3', CLEAN, 0)
      await send(store, 300, { qos: 2 })
      await expect.poll(() => harness.shared.length, PATIENCE).toBe(300)
      const by = Map.groupBy(harness.shared, (line) => line.split(' ')[0] ?? '')
      expect([...by.values()].map(({ length }) => length)).toEqual([100, 100, 100])
      expect(new Set(harness.shared.map((line) => line.split(' ')[1])).size).toBe(300)
      const shown = new Set(harness.shared.map((line) => line.replace(/ m\d+/, '')))
      expect(shown).toEqual(new Set(['app//1 1', 'app//2 1', 'other//3 0']))
      expect([(await queueOf(store, 'app//1')).length, (await queueOf(store, 'app//2')).length]).toEqual([100, 100])
      expect(await queueOf(store, 'other//3')).toEqual([])
    })

    it('is another with another name or filter, and has nothing to do with who subscribes alone', async () => {
      const harness = await make()
      const { store } = harness
      const lease = await member(store, 'app//1')
      await store.join(lease, '$share/h/a/#', 1)
      await store.join(lease, '$share/g/a/b', 1)
      await store.join(lease, '$share/g/elsewhere', 1)
      const alone = await store.claim('app//alone', KEPT)
      await store.subscribe(alone, [{ topic: 'a/#', qos: 1 }])
      expect(await store.send(message('a/b', 'one'))).toMatchObject({ stored: 4, full: 0 })
      await expect.poll(() => seen(harness), PATIENCE).toEqual(['app//1 one 1', 'app//1 one 1', 'app//1 one 1'])
      await store.leave(lease, SHARE)
      await store.leave(lease, '$share/g/a/b')
      await store.leave(lease, '$share/h/a/#')
      expect(await store.send(message('a/b', 'two'))).toMatchObject({ stored: 1 })
    })

    it('whose members are all away keeps messages with them, over a restart; one that is back is preferred', async () => {
      const first = await make()
      for (const id of ['app//1', 'app//2']) first.store.release(await member(first.store, id, KEPT))
      await send(first.store, 3)
      const harness = await first.reopen()
      const { store } = harness
      await send(store, 1, { from: 3 })
      await member(store, 'app//2', KEPT)
      await send(store, 4, { from: 4 })
      await expect.poll(() => harness.shared.length, PATIENCE).toBe(4)
      expect(harness.shared.every((line) => line.startsWith('app//2 '))).toBe(true)
      const kept = await Promise.all(['app//1', 'app//2'].map((id) => queueOf(store, id)))
      expect(kept.flat().toSorted()).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7'])
      expect(kept.map((of) => of.length >= 2)).toEqual([true, true])
      expect(kept[1]).toEqual(expect.arrayContaining(['m4', 'm5', 'm6', 'm7']))
    })

    it('gets what a member that is gone has not acknowledged, but for what was sent at QoS 2', async () => {
      const harness = await make()
      const { store } = harness
      const gone = await member(store, 'app//gone', CLEAN, 2)
      await send(store, 2)
      await send(store, 2, { from: 2, qos: 2 })
      const queued = await all(store.queue('app//gone'))
      await store.acknowledge(gone, queued[0]?.number ?? '')
      const delivery = { number: queued[2]?.number ?? '', messageId: 1, qos: 2, isReleased: false }
      await store.noteDelivery(gone, delivery)
      await member(store, 'app//heir', CLEAN, 2)
      store.release(gone)
      await expect.poll(() => harness.shared.slice(4), PATIENCE).toEqual(['app//heir m1 1', 'app//heir m3 2'])
      await expect.poll(() => queueOf(store, 'app//heir'), PATIENCE).toEqual(['m1', 'm3'])
      expect(await queueOf(store, 'app//gone')).toEqual([])
      await send(store, 1, { from: 4 })
      await expect.poll(() => harness.shared.at(-1), PATIENCE).toBe('app//heir m4 1')
    })

    it('gets what the session of a member had that has expired, or that begins anew', async () => {
      const harness = await make()
      const { store } = harness
      const [expires, anew] = [await member(store, 'app//expires', KEPT), await member(store, 'app//anew', KEPT)]
      await send(store, 4)
      await member(store, 'app//heir')
      store.endAfter('app//expires', 1)
      store.release(expires)
      store.release(anew)
      await store.claim('app//anew', CLEAN)
      const heirs = async (): Promise<string[]> => (await queueOf(store, 'app//heir')).toSorted()
      await expect.poll(heirs, PATIENCE).toEqual(['m0', 'm1', 'm2', 'm3'])
    })

    it('loses a message with its last member, and passes one on that a member may not have until each was asked', async () => {
      const harness = await make()
      const { store } = harness
      const leases = [await member(store, 'app//1'), await member(store, 'app//2'), await member(store, 'app//3')]
      await send(store, 1)
      for (let asked = 0; asked < 3; asked += 1) {
        await expect.poll(() => harness.shared.length, PATIENCE).toBe(asked + 1)
        const clientId = harness.shared[asked]?.split(' ')[0] ?? ''
        const [queued] = await all(store.queue(clientId))
        const lease = leases.find((one) => one.clientId === clientId)
        if (lease !== undefined) await store.passOn(lease, queued?.number ?? '')
      }
      const left = await Promise.all(leases.map(({ clientId }) => queueOf(store, clientId)))
      expect([left.flat(), harness.shared.length]).toEqual([[], 3])
      for (const lease of leases) store.release(lease)
      await expect.poll(async () => (await store.send(message('a/b', 'late'))).stored, PATIENCE).toBe(0)
    })

    it('whose members are full drops a message, and one that is full is passed over', async () => {
      const harness = await make()
      const { store } = harness
      const payload = 'x'.repeat(1024 * 1024)
      await member(store, 'app//1')
      for (let index = 0; index < 4; index += 1) await store.send(message('a/b', payload))
      expect(await store.send(message('a/b', payload))).toMatchObject({ stored: 0, full: 1 })
      await member(store, 'app//2')
      await send(store, 3)
      expect((await queueOf(store, 'app//2')).toSorted()).toEqual(['m0', 'm1', 'm2'])
    })

    it('is one of a bounded number, with a bounded number of members', async () => {
      const { store } = await make()
      const lease = await store.claim('app//many', CLEAN)
      for (let index = 0; index < MAX_SHARED.groupsOfLogin; index += 1) await store.join(lease, `$share/g${index}/x`, 1)
      await expect(store.join(lease, '$share/more/x', 1)).rejects.toMatchObject({ code: 'session_limit' })
      await store.join(lease, '$share/g0/x', 1)
      await store.leave(lease, '$share/g0/x')
      await store.join(lease, SHARE, 1)
      for (let index = 1; index < MAX_SHARED.members; index += 1) await member(store, `app//${index}`)
      await expect(member(store, 'app//one-more')).rejects.toMatchObject({ code: 'session_limit' })
    })
  })
}
