import { describe, expect, it } from 'vitest'
import { meaningOf, typeAt } from '../../shared/registry/types-port.ts'
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
      const first = await declaredTypes.declare(meter, { type: 'integer' }, 'ann')
      expect(await declaredTypes.declare(meter, { type: 'integer' }, 'bob')).toEqual(first)
      const second = await declaredTypes.declare(meter, { type: 'float' }, 'bob')
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
      for (const field of SIMILAR_FIELDS) await declaredTypes.declare({ ...meter, field }, { type: 'integer' }, 'ann')
      expect((await declaredTypes.list()).map(({ field }) => field).sort()).toEqual([...SIMILAR_FIELDS].sort())
      for (const field of SIMILAR_FIELDS) expect(declaredTypes.of({ ...meter, field })).toHaveLength(1)
    })

    it('of what cannot be a field are refused', async () => {
      const { declaredTypes } = await openRegistry(await make())
      const wrong = [{ field: 'x\ud800' }, { field: 'x'.repeat(1025) }, { stream: '' }, { tenant: 'a/b' }]
      const ends = await Promise.allSettled(
        wrong.map((one) => declaredTypes.declare({ ...meter, ...one }, { type: 'integer' }, 'ann')),
      )
      const codes = ends.map((end) => (end.status === 'rejected' ? (end.reason as { code: string }).code : undefined))
      expect(codes).toEqual(['bad_request', 'bad_request', 'name_invalid', 'name_invalid'])
      expect(await declaredTypes.list()).toEqual([])
    })

    it('have units, ranges and the like: what is only shown changes nothing of when it holds', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const { declaredTypes } = registry
      expect([declaredTypes.areSomeRequired, declaredTypes.requiredIn(meter)]).toEqual([false, []])
      const first = await declaredTypes.declare(meter, { unit: 'Wh', min: 0, outside: 'fault' }, 'ann')
      const shown = await declaredTypes.declare(meter, { unit: 'kWh', name: 'Zähler "Ⅱ"' }, 'bob')
      expect(shown.sinceMs).toBe(first.sinceMs)
      expect(shown.sources.by).toEqual({ unit: 'bob', name: 'bob', min: 'ann', outside: 'ann' })
      const wider = await declaredTypes.declare(meter, { min: -1, required: true, name: null }, 'bob')
      const inForce = { unit: 'kWh', min: -1, outside: 'fault', required: true }
      expect(wider.sinceMs).toBeGreaterThan(first.sinceMs)
      expect(declaredTypes.of(meter)).toEqual([shown, wider])
      expect([meaningOf(declaredTypes, meter), wider.meaning]).toEqual([inForce, inForce])
      expect(declaredTypes.areSomeRequired).toBe(true)
      expect(declaredTypes.requiredIn({ ...meter }).map(({ field }) => field)).toEqual(['total'])
      expect(declaredTypes.requiredIn({ ...meter, stream: 'Meter' })).toEqual([])
      const wrong = declaredTypes.declare(meter, { max: -2 }, 'ann')
      await expect(wrong).rejects.toMatchObject({ code: 'bad_request' })
      await registry.close()
      const again = (await openRegistry(harness)).declaredTypes
      expect(again.of(meter)).toEqual([shown, wider])
      expect(again.areSomeRequired).toBe(true)
    })

    it('of contracts lie over those of people, who get theirs back, and are in force all or none', async () => {
      const { declaredTypes } = await openRegistry(await make())
      await declaredTypes.declare(meter, { unit: 'Wh', max: 9 }, 'ann')
      const contract = (min: number, line: number) => {
        const places = { min: `a.yaml:${line}`, outside: `a.yaml:${line}` }
        return { ...meter, meaning: { min, outside: 'fault' as const }, places }
      }
      const other = { ...meter, field: 'power', meaning: { unit: 'W' }, places: { unit: 'b.yaml:3' } }
      expect(await declaredTypes.overlay([contract(1, 4), other])).toHaveLength(2)
      expect(await declaredTypes.overlay([contract(1, 4), other])).toEqual([])
      expect(meaningOf(declaredTypes, meter)).toEqual({ unit: 'Wh', max: 9, min: 1, outside: 'fault' })
      expect(declaredTypes.of(meter).at(-1)).toMatchObject({ who: 'file a.yaml', sources: { set: { max: 9 } } })
      const set = declaredTypes.declare(meter, { min: 0 }, 'bob')
      await expect(set).rejects.toMatchObject({ code: 'contract_in_force', message: 'min is set by a.yaml:4' })
      await declaredTypes.declare(meter, { max: 8 }, 'bob')
      const wrong = declaredTypes.overlay([{ ...other, meaning: { unit: 'kW' } }, contract(10, 5)])
      await expect(wrong).rejects.toMatchObject({
        code: 'contract_invalid',
        message: expect.stringContaining('a.yaml:5') as string,
      })
      expect(meaningOf(declaredTypes, { ...meter, field: 'power' })).toEqual({ unit: 'W' })
      expect(await declaredTypes.overlay([])).toHaveLength(2)
      expect(meaningOf(declaredTypes, meter)).toEqual({ unit: 'Wh', max: 8 })
      expect(declaredTypes.of(meter).at(-1)?.sources).toEqual({
        set: { unit: 'Wh', max: 8 },
        files: {},
        by: { unit: 'ann', max: 'bob' },
      })
    })

    it('are heard of by another process before they hold', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const other = await openRegistry(harness).catch((error: unknown) => error)
      // A registry of one process is locked instead.
      if (other instanceof Error) return expect(other).toMatchObject({ code: 'data_locked' })
      const { declaredTypes, onChange } = other as typeof registry
      const heard = new Promise<void>((resolve) => onChange.call(other, () => resolve()))
      const { sinceMs } = await registry.declaredTypes.declare(meter, { type: 'integer' }, 'ann')
      await heard
      await declaredTypes.known()
      expect(declaredTypes.of(meter)).toHaveLength(1)
      expect(Date.now()).toBeLessThan(sinceMs)
    })
  })
}
