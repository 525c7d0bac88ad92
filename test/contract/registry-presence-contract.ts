import { describe, expect, it } from 'vitest'
import type { PresenceRecord } from '../../shared/registry/presence-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { createDevice, openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

function row(device: string, changes: Partial<PresenceRecord> = {}): PresenceRecord {
  const session = { tenant: 'acme', device, clientId: 'c', epoch: 10, node: 'n1', address: '::1' }
  return { ...session, connected: true, sinceMs: 1_000, reason: undefined, ...changes }
}

const ended = { connected: false, reason: 'closed' } as const

/** A session that began later is not ended by one that it took the place of. */
export async function checkPresenceIsFenced(registry: Registry): Promise<void> {
  await registry.presence.record([row('p1', { epoch: 12, node: 'n2' })])
  await registry.presence.record([row('p1', { epoch: 11, node: 'n1', ...ended })])
  expect(await registry.presence.of('acme', 'p1')).toEqual([row('p1', { epoch: 12, node: 'n2' })])
}

export function describePresence(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: presence`, () => {
    it('is what was written last, also after reopening', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      await registry.presence.record([row('p1'), row('p2', { sinceMs: 5 })])
      await registry.presence.record([row('p1', { ...ended, sinceMs: 2_000 })])
      await registry.close()
      const again = await openRegistry(harness)
      expect(await again.presence.of('acme', 'p1')).toEqual([row('p1', { ...ended, sinceMs: 2_000 })])
      expect(await again.presence.of('acme', 'p2')).toEqual([row('p2', { sinceMs: 5 })])
      expect(await again.presence.of('Acme', 'p1')).toEqual([])
      expect(await again.presence.of('acme', 'P1')).toEqual([])
    })

    it('goes by the order of the sessions, not of the writes', async () => {
      await checkPresenceIsFenced(await openRegistry(await make()))
    })

    it('a session without a number counts as the newest', async () => {
      const { presence } = await openRegistry(await make())
      await presence.record([row('p1', { epoch: 12 })])
      await presence.record([row('p1', { epoch: 0, node: 'n3' })])
      expect(await presence.of('acme', 'p1')).toMatchObject([{ node: 'n3' }])
      await presence.record([row('p1', { epoch: 13, node: 'n4' })])
      expect(await presence.of('acme', 'p1')).toMatchObject([{ node: 'n4' }])
    })

    it('of a device with two clients shows both while they live, live ones first', async () => {
      const { presence } = await openRegistry(await make())
      await presence.record([row('p1', { clientId: 'a', sinceMs: 1 }), row('p1', { clientId: 'A', sinceMs: 2 })])
      expect((await presence.of('acme', 'p1')).map(({ clientId }) => clientId)).toEqual(['A', 'a'])
      await presence.record([row('p1', { clientId: 'A', ...ended, sinceMs: 3 })])
      expect((await presence.of('acme', 'p1')).map(({ clientId }) => clientId)).toEqual(['a', 'A'])
      await presence.record([row('p1', { clientId: 'b', sinceMs: 4 })])
      expect((await presence.of('acme', 'p1')).map(({ clientId }) => clientId)).toEqual(['b', 'a'])
    })

    it('of a node ends as a whole', async () => {
      const { presence } = await openRegistry(await make())
      await presence.record([row('p1'), row('p2', { node: 'n2' }), row('p3', { ...ended })])
      await presence.endNode('n1', 'node_lost', 9_000)
      expect(await presence.of('acme', 'p1')).toEqual([
        row('p1', { connected: false, reason: 'node_lost', sinceMs: 9_000 }),
      ])
      expect(await presence.of('acme', 'p2')).toMatchObject([{ connected: true }])
      expect(await presence.of('acme', 'p3')).toMatchObject([{ reason: 'closed', sinceMs: 1_000 }])
    })

    it('of several devices is found together, and of no others', async () => {
      const { presence } = await openRegistry(await make())
      await presence.record([row('p1'), row('p2', { ...ended }), row('P2'), row('p1', { clientId: 'd' }), row('p3')])
      const names = ['p1', 'p2', 'nobody', ...Array.from({ length: 300 }, (_, index) => `none-${index}`)]
      const found = await presence.ofAll(names.map((device) => ({ tenant: 'acme', device })))
      const shown = found.map(({ device, clientId, connected }) => `${device} ${clientId} ${connected}`).toSorted()
      expect(shown).toEqual(['p1 c true', 'p1 d true', 'p2 c false'])
      expect(await presence.ofAll([])).toEqual([])
    })

    it('of a thousand devices is written at once', async () => {
      const { presence } = await openRegistry(await make())
      const rows = Array.from({ length: 1_000 }, (_, index) => row(`p${index}`))
      await Promise.all([presence.record(rows), presence.record(rows.toReversed())])
      expect(await presence.of('acme', 'p999')).toEqual([row('p999')])
      await presence.record([])
    })

    it('limits that acted are kept, the newest first, and go with the device', async () => {
      const registry = await openRegistry(await make())
      await createDevice(registry, 'acme/p1')
      const hit = { tenant: 'acme', device: 'p1', limit: 10, sinceMs: 1, lastMs: 2, count: 3 }
      await registry.presence.record([row('p1')])
      await registry.presence.recordLimits([
        { ...hit, code: 'topic' },
        { ...hit, code: 'byte_rate', lastMs: 5 },
      ])
      await registry.presence.recordLimits([{ ...hit, code: 'topic', lastMs: 9, count: 4 }])
      expect(await registry.presence.limitsOf('acme', 'p1')).toEqual([
        { ...hit, code: 'topic', lastMs: 9, count: 4 },
        { ...hit, code: 'byte_rate', lastMs: 5 },
      ])
      expect(await registry.presence.limitsAfter('topic', 8)).toEqual([{ ...hit, code: 'topic', lastMs: 9, count: 4 }])
      expect(await registry.presence.limitsAfter('topic', 9)).toEqual([])
      await registry.presence.recordLimits([])
      await registry.removeDevice('acme', 'p1')
      expect(await registry.presence.limitsOf('acme', 'p1')).toEqual([])
      expect(await registry.presence.of('acme', 'p1')).toEqual([])
    })
  })
}
