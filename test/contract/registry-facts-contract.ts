import { describe, expect, it } from 'vitest'
import { openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

const LONGEST = { name: 'n'.repeat(64), value: 'v'.repeat(200_000) }

export function describeFacts(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: facts`, () => {
    it('are said once, changed on purpose, and there for whoever comes next', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const { facts } = registry
      expect(await facts.get('one')).toBeUndefined()
      expect(await facts.keep('one', 'first')).toBe('first')
      expect(await facts.keep('one', 'second')).toBe('first')
      expect(await facts.get('ONE')).toBeUndefined()
      await facts.put('one', 'third')
      await facts.put('one', 'third')
      await facts.put(LONGEST.name, LONGEST.value)
      await registry.close()
      const next = await openRegistry(harness)
      expect(await next.facts.get('one')).toBe('third')
      expect(await next.facts.get(LONGEST.name)).toBe(LONGEST.value)
    })

    it('have one value when many say one at the same time', async () => {
      const { facts } = await openRegistry(await make())
      const said = await Promise.all(Array.from({ length: 20 }, (_, n) => facts.keep('count', String(n))))
      expect(new Set(said).size).toBe(1)
      expect(await facts.get('count')).toBe(said[0])
    })

    it('are changed in turns: nobody changes what another one is changing', async () => {
      const { facts } = await openRegistry(await make())
      const add = () => facts.change('sum', (said, nowMs) => ({ say: `${Number(said ?? 0) + 1}`, result: nowMs }))
      const times = await Promise.all(Array.from({ length: 20 }, add))
      expect(await facts.get('sum')).toBe('20')
      expect(Math.min(...times)).toBeGreaterThan(Date.now() - 60_000)
      expect(await facts.change('sum', (said) => ({ result: said }))).toBe('20')
      expect(await facts.change('none', (said) => ({ result: said }))).toBeUndefined()
      expect(await facts.get('none')).toBeUndefined()
    })
  })
}
