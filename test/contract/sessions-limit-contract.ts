import { describe, expect, it } from 'vitest'
import type { Lease } from '../../shared/sessions/port.ts'
import { away, CLEAN, KEPT, message, type MakeSessionsHarness } from './sessions-harness.ts'

/** How many persistent sessions a login may have, and which make room. */
export function describeSessionLimit(name: string, make: MakeSessionsHarness): void {
  describe(`${name}: persistent sessions`, () => {
    it('are as many as a login may have', async () => {
      const { store } = await make({ maxSessions: 2 })
      const full = { code: 'session_limit' }
      const open = async (clientId: string, wish = KEPT): Promise<void> =>
        store.release(await store.claim(clientId, wish))
      for (const id of ['a/1/x', 'a/1/y', 'a/11/x', 'a//1/x', 'a//1/y']) {
        // What keeps something stays.
        await away(store, id, id.startsWith('a//') ? 'x' : `t/${id.slice(0, id.lastIndexOf('/'))}/cmd/#`)
      }
      await expect(store.claim('a/1/z', KEPT)).rejects.toMatchObject(full)
      await expect(store.claim('a//z', KEPT)).rejects.toMatchObject(full)
      await open('a/1/z', CLEAN)
      await open('a/1/x')
      await open('a/1/x', CLEAN)
      await open('a/1/z')
    })

    it('that are away and keep nothing make room, the one that was used least recently first', async () => {
      const first = await make({ maxSessions: 4 })
      const open = async (clientId: string): Promise<void> =>
        first.store.release(await first.store.claim(clientId, KEPT))
      await away(first.store, 'a/1/subscribed', 't/a/1/cmd/#')
      for (const id of ['a', 'b', 'c']) await open(`a/1/${id}`)
      await open('a/1/a')
      const { store } = await first.reopen()
      const claim = async (id: string): Promise<Pick<Lease, 'isPresent' | 'hasMadeRoom'>> => {
        const { isPresent, hasMadeRoom } = await store.claim(`a/1/${id}`, KEPT)
        return { isPresent, hasMadeRoom }
      }
      const held = await store.claim('a/1/b', KEPT)
      // Of `c` and `a`, which was used again.
      expect(await claim('d')).toEqual({ isPresent: false, hasMadeRoom: true })
      expect(await claim('a')).toEqual({ isPresent: true, hasMadeRoom: false })
      await expect(claim('c')).rejects.toMatchObject({ code: 'session_limit' })
      store.release(held)
      expect(await claim('c')).toEqual({ isPresent: false, hasMadeRoom: true })
      expect(await claim('subscribed')).toEqual({ isPresent: true, hasMadeRoom: false })
    })

    it.each(['a message', 'an id of QoS 2', 'telemetry that is not released', 'a will that waits'])(
      'that keep %s make no room',
      async (what) => {
        const { store } = await make({ maxSessions: 1 })
        const lease = await store.claim('a/1/keeps', KEPT)
        if (what === 'a message') {
          await store.subscribe(lease, [{ topic: 't/a/1/cmd/#', qos: 1 }])
          await store.send(message('t/a/1/cmd/x', 'one'))
          await store.unsubscribe(lease, ['t/a/1/cmd/#'])
        } else if (what === 'an id of QoS 2') await store.noteIncoming(lease, 7)
        else if (what === 'a will that waits') {
          const properties = { bytes: Buffer.alloc(0), expiresAt: undefined, will: { delay: 100, expiry: undefined } }
          const will = message('t/a/1/status', 'off', { properties })
          await store.putWill(lease, will)
          await store.postponeWill(lease, will)
        } else await store.writeUnreleased([{ lease, id: 7, digest: 7 }])
        store.release(lease)
        await expect(store.claim('a/1/new', KEPT)).rejects.toMatchObject({ code: 'session_limit' })
      },
    )
  })
}
