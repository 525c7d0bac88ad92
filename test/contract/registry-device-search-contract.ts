import { describe, expect, it } from 'vitest'
import { createDevice, openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

export function describeDeviceSearch(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: devices that are looked for`, () => {
    it('are found by a part of their names, and those that were seen last first', async () => {
      const registry = await openRegistry(await make())
      for (const name of ['acme/Pump-1', 'acme/pump_2', 'north/pump-3', 'north/fan%'])
        await createDevice(registry, name)
      const state = { stream: 'telemetry', fields: {}, log: 'x', partition: 0, offset: 1 }
      await registry.writeState([
        { ...state, tenant: 'north', device: 'pump-3', lastSeenMs: 2_000 },
        { ...state, tenant: 'acme', device: 'pump_2', lastSeenMs: 3_000 },
      ])
      const found = async (query: { search?: string; tenant?: string; limit?: number }) => {
        const recent = await registry.recentDevices({ limit: 10, ...query })
        const listed = (await registry.listDevices({ limit: 10, ...query })).items
        const names = (items: typeof recent) => items.map(({ tenant, device }) => `${tenant}/${device}`)
        return { recent: names(recent), listed: names(listed) }
      }
      const all = ['acme/Pump-1', 'acme/pump_2', 'north/fan%', 'north/pump-3']
      const newest = ['acme/pump_2', 'north/pump-3', 'acme/Pump-1', 'north/fan%']
      expect(await found({})).toEqual({ recent: newest, listed: all })
      expect(await found({ search: 'PUMP' })).toEqual({
        recent: newest.slice(0, 3),
        listed: all.filter((n) => !n.includes('fan')),
      })
      expect(await found({ search: 'h/p' })).toEqual({ recent: ['north/pump-3'], listed: ['north/pump-3'] })
      // Nothing in it stands for anything else.
      for (const search of ['%', '_']) expect((await found({ search })).listed).toHaveLength(1)
      expect(await found({ search: 'p', tenant: 'acme', limit: 1 })).toEqual({
        recent: ['acme/pump_2'],
        listed: ['acme/Pump-1'],
      })
      expect((await found({ search: 'x' })).recent).toEqual([])
    })
  })
}
