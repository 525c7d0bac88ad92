import { describe, expect, it } from 'vitest'
import { typeAt } from '../../shared/registry/types-port.ts'
import { openRegistry, SIMILAR_FIELDS, type MakeRegistryHarness } from './registry-harness.ts'

/** The promises of `DeclaredTypes`. */
export function describeDeclaredTypes(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: declared types`, () => {
    const meter = { tenant: 'acme', stream: 'meter', field: 'total' }

    it('are none at first; all that was said is kept in its order, over a restart', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const { declaredTypes } = registry
      expect([declaredTypes.of(meter), await declaredTypes.list()]).toEqual([[], []])
      const epoch = declaredTypes.epoch
      const first = await declaredTypes.declare(meter, 'integer', 'ann')
      expect(await declaredTypes.declare(meter, 'integer', 'bob')).toEqual(first)
      const second = await declaredTypes.declare(meter, 'float', 'bob')
      expect(second.sinceMs).toBeGreaterThan(first.sinceMs)
      expect(declaredTypes.epoch).toBeGreaterThan(epoch)
      expect(declaredTypes.of(meter)).toEqual([first, second])
      expect(declaredTypes.of({ ...meter, stream: 'Meter' })).toEqual([])
      expect([first.sinceMs - 1, first.sinceMs, second.sinceMs].map((ms) => typeAt([first, second], ms))).toEqual([
        'float',
        'integer',
        'float',
      ])
      await registry.close()
      const again = await openRegistry(harness)
      expect(again.declaredTypes.of(meter)).toEqual([first, second])
      expect(await again.declaredTypes.list('other')).toEqual([])
      expect(await again.declaredTypes.list('acme')).toEqual([{ ...meter, changes: [first, second] }])
    })

    it('belong to names that look alike each on their own', async () => {
      const { declaredTypes } = await openRegistry(await make())
      for (const field of SIMILAR_FIELDS) await declaredTypes.declare({ ...meter, field }, 'integer', 'ann')
      expect((await declaredTypes.list()).map(({ field }) => field).sort()).toEqual([...SIMILAR_FIELDS].sort())
      for (const field of SIMILAR_FIELDS) expect(declaredTypes.of({ ...meter, field })).toHaveLength(1)
    })

    it('of what cannot be a field are refused', async () => {
      const { declaredTypes } = await openRegistry(await make())
      const wrong = [{ field: 'x\ud800' }, { field: 'x'.repeat(1025) }, { stream: '' }, { tenant: 'a/b' }]
      const ends = await Promise.allSettled(
        wrong.map((one) => declaredTypes.declare({ ...meter, ...one }, 'integer', 'ann')),
      )
      const codes = ends.map((end) => (end.status === 'rejected' ? (end.reason as { code: string }).code : undefined))
      expect(codes).toEqual(['bad_request', 'bad_request', 'name_invalid', 'name_invalid'])
      expect(await declaredTypes.list()).toEqual([])
    })

    it('are heard of by another process before they hold', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const other = await openRegistry(harness).catch((error: unknown) => error)
      // A registry of one process is locked instead.
      if (other instanceof Error) return expect(other).toMatchObject({ code: 'data_locked' })
      const { declaredTypes, onChange } = other as typeof registry
      const heard = new Promise<void>((resolve) => onChange.call(other, () => resolve()))
      const { sinceMs } = await registry.declaredTypes.declare(meter, 'integer', 'ann')
      await heard
      await declaredTypes.known()
      expect(declaredTypes.of(meter)).toHaveLength(1)
      expect(Date.now()).toBeLessThan(sinceMs)
    })
  })
}
