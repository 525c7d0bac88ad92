import { describe, expect, it } from 'vitest'
import type { StampSlot, StampSlots } from '../../shared/registry/stamp-slots-port.ts'
import { openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

const held: Omit<StampSlot, 'slot'> = {
  ...{ holder: 'broker/löwe:1883 ', lease: 'l'.repeat(36), claim: 'c'.repeat(36), claimedMs: 4_102_444_800_000 },
  ...{ state: `{"era":3,"ends":[${'[4102444800000,999999],'.repeat(10)}null]}`, renewedMs: 2, isGivenBack: true },
}

/** One more each time, as a lease that is taken: an update that saw the past would lose one. */
function count(slots: StampSlots): Promise<number> {
  return slots.change(([first]) => {
    if (first === undefined) throw new Error('there is no slot')
    const write = { ...first, renewedMs: first.renewedMs + 1 }
    return { write, result: write.renewedMs }
  })
}

/** However many change a slot at once, each one sees what the one before wrote. */
export async function checkSlotsTakeTurns(registries: readonly { readonly stampSlots: StampSlots }[]): Promise<void> {
  const counts = await Promise.all(
    Array.from({ length: 30 }, (_, n) => n).flatMap(() => registries.map(({ stampSlots }) => count(stampSlots))),
  )
  expect(counts.toSorted((a, b) => a - b)).toEqual(counts.map((_, n) => n + 1))
}

export function describeStampSlots(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: stamp slots`, () => {
    it('are 64 that nobody has', async () => {
      const { stampSlots } = await openRegistry(await make())
      const slots = await stampSlots.change((all) => ({ result: all }))
      const nobody = { holder: '', lease: '', claim: '', claimedMs: 0, state: '', renewedMs: 0, isGivenBack: false }
      expect(slots).toEqual(Array.from({ length: 64 }, (_, slot) => ({ slot, ...nobody })))
      expect(await stampSlots.read(7)).toEqual(slots[7])
      expect(await stampSlots.read(64)).toBeUndefined()
    })

    it('are what was written last, one at a time, also after reopening', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const before = await registry.stampSlots.change((all) => ({ result: all }))
      await registry.stampSlots.change(() => ({ write: { slot: 9, ...held }, result: undefined }))
      const failed = registry.stampSlots.change(() => {
        throw new Error('of the caller')
      })
      await expect(failed).rejects.toThrow('of the caller')
      await registry.close()
      const { stampSlots } = await openRegistry(harness)
      const after = before.map((slot) => (slot.slot === 9 ? { slot: 9, ...held } : slot))
      expect(await stampSlots.change((all) => ({ result: all }))).toEqual(after)
      expect(await stampSlots.read(9)).toEqual(after[9])
    })

    it('come with the time of the database, which goes on', async () => {
      const { stampSlots } = await openRegistry(await make())
      const time = () => stampSlots.change((_, nowMs) => ({ result: nowMs }))
      const [first, then] = [await time(), await time()]
      expect(Number.isInteger(first)).toBe(true)
      expect(then).toBeGreaterThanOrEqual(first)
      // The same machine: whatever the zone of either process.
      expect(Math.abs(first - Date.now())).toBeLessThan(600_000)
    })

    it('are changed by one at a time', async () => {
      await checkSlotsTakeTurns([await openRegistry(await make())])
    })
  })
}
