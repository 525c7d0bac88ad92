import { describe, expect, it } from 'vitest'
import type { DeviceOfPoints, PointStore } from '../../shared/points/port.ts'
import { everySecond, openStore, seriesOf, SIMILAR_NAMES, type MakePointsHarness } from './points-harness.ts'

async function allDevices(store: PointStore, limit: number): Promise<DeviceOfPoints[]> {
  const found: DeviceOfPoints[] = []
  for (;;) {
    const page = await store.devices({ after: found.at(-1), limit })
    expect(page.length).toBeLessThanOrEqual(limit)
    found.push(...page)
    if (page.length < limit) return found
  }
}

/** The promise of `devices`: whoever goes through them all meets each device with points once. */
export function describePointDevices(name: string, make: MakePointsHarness): void {
  describe(`${name}: devices`, () => {
    it('each is listed once, by tenant and device, whatever the size of a page', async () => {
      const store = await openStore(await make())
      expect(await store.devices({ limit: 10 })).toEqual([])
      const tenants = ['a.b', 'a', 'Acme']
      const expected = tenants.flatMap((tenant) => SIMILAR_NAMES.map((device) => ({ tenant, device })))
      for (const one of expected) {
        for (const type of ['float', 'string'] as const) {
          const value = type === 'float' ? 1 : 'text'
          await store.write(everySecond(seriesOf(type, one), [value, value]))
          await store.write(everySecond(seriesOf(type, { ...one, stream: 'b.c' }), [value]))
        }
      }
      const text = (one: DeviceOfPoints): string => JSON.stringify([one.tenant, one.device])
      const whole = await allDevices(store, 1000)
      expect(whole.map(text).sort()).toEqual(expected.map(text).sort())
      expect(await allDevices(store, 5)).toEqual(whole)
    })

    it('one of which all points were deleted is none', async () => {
      const store = await openStore(await make())
      await store.write(everySecond(seriesOf('float'), [1]))
      await store.write(everySecond(seriesOf('float', { device: 'pump-2' }), [1]))
      await store.delete({ tenant: 'acme', device: 'pump-1' })
      expect(await store.devices({ limit: 10 })).toEqual([{ tenant: 'acme', device: 'pump-2' }])
    })
  })
}
