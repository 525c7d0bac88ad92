import { describe, expect, it } from 'vitest'
import type { LetterNote } from '../../shared/registry/letters-port.ts'
import { openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

function note(n: number, changes: Partial<LetterNote> = {}): LetterNote {
  return {
    id: `log/0/${n}`,
    state: 'replayed',
    tries: 1,
    job: 7,
    atMs: 1_767_225_600_000 + n,
    who: 'admin',
    ...changes,
  }
}

export function describeLetterNotes(engine: string, make: MakeRegistryHarness): void {
  describe(`${engine}: notes about letters`, () => {
    it('are kept by letter, the last of each, also after reopening', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const { letterNotes } = registry
      // More than go into one statement.
      const notes = Array.from({ length: 450 }, (_, n) => note(n))
      await letterNotes.put([])
      await letterNotes.put(notes)
      const odd = note(3, { id: `${'ü'.repeat(64)}/11/${Number.MAX_SAFE_INTEGER}`, who: 'x'.repeat(300) })
      const changed = note(1, { state: 'discarded', tries: 3, job: 2_000_000_000, who: 'bob', atMs: 4_102_444_800_000 })
      await letterNotes.put([changed, odd])
      await registry.close()

      const again = (await openRegistry(harness)).letterNotes
      const found = await again.of(['log/0/450', odd.id, ...notes.map(({ id }) => id)])
      expect(found.size).toBe(451)
      expect(found.get('log/0/0')).toEqual(note(0))
      expect(found.get('log/0/1')).toEqual(changed)
      expect(found.get(odd.id)).toEqual({ ...odd, who: 'x'.repeat(256) })
      expect((await again.of([])).size).toBe(0)
    })

    it('tell letters apart byte by byte', async () => {
      const { letterNotes } = await openRegistry(await make())
      const ids = ['a/0/1', 'A/0/1', 'ä/0/1', 'a/0/1 ']
      await letterNotes.put(ids.map((id, tries) => note(0, { id, tries })))
      const found = await letterNotes.of(ids)
      expect(ids.map((id) => found.get(id)?.tries)).toEqual([0, 1, 2, 3])
    })

    it('are forgotten from the oldest on', async () => {
      const { letterNotes } = await openRegistry(await make())
      const ids = [0, 1, 2, 3, 4].map((n) => note(n).id)
      await letterNotes.put([note(4), note(0), note(2), note(1), note(3)])
      await letterNotes.trim()
      expect((await letterNotes.of(ids)).size).toBe(5)
      await letterNotes.trim(2)
      expect([...(await letterNotes.of(ids)).keys()].sort()).toEqual(['log/0/3', 'log/0/4'])
    })
  })
}
