import { describe, expect, it } from 'vitest'
import type { Policies } from '../../shared/registry/policies-port.ts'
import { openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

const code = (value: string) => expect.objectContaining({ code: value }) as Error
const quoted = { quoted_numbers: 'number' } as const
const plain = { quoted_numbers: 'text' } as const

async function put(policies: Policies, scope: string | undefined, document: object): Promise<void> {
  const from = (await policies.read(scope))?.revision ?? 0
  await policies.put({ scope, document, from, who: 'admin' })
}

/** The promises of `Policies`. */
export function describePolicies(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: policies`, () => {
    it('are none before any was set', async () => {
      const { policies } = await openRegistry(await make())
      expect(policies.revisionOf('acme')).toBeUndefined()
      expect(await policies.read('acme')).toBeUndefined()
      expect(await policies.list()).toEqual([])
      expect(await policies.history(undefined, 10)).toEqual([])
    })

    it('every revision is kept, under its number and under its id, over a restart', async () => {
      const harness = await make()
      const first = await harness.open()
      await put(first.policies, 'acme', quoted)
      const rv = first.policies.revisionOf('acme') ?? ''
      await put(first.policies, 'acme', { streams: { 'dör/1 ': plain } })
      await put(first.policies, undefined, plain)
      await first.close()
      const { policies } = await openRegistry(harness)
      const history = await policies.history('acme', 10)
      expect(history.map(({ revision, document }) => [revision, document])).toEqual([
        [2, { streams: { 'dör/1 ': plain } }],
        [1, quoted],
      ])
      expect(history[1]).toMatchObject({ who: 'admin', scope: 'acme', id: rv.slice(0, -1) })
      const id = rv.slice(0, -1)
      expect(await policies.find([id, '0123456789abcdef'])).toEqual(new Map([[id, quoted]]))
      expect((await policies.list()).map(({ scope, revision }) => [scope, revision])).toEqual([
        [undefined, 1],
        ['acme', 2],
      ])
    })

    it('what is stamped names both documents, and nothing where neither says anything', async () => {
      const { policies } = await openRegistry(await make())
      const epoch = policies.epoch
      await put(policies, 'acme', quoted)
      const [own] = policies.revisionOf('acme')?.split('.') ?? []
      expect(policies.revisionOf('acme')).toBe(`${own}.`)
      expect(policies.revisionOf('Acme')).toBeUndefined()
      await put(policies, undefined, quoted)
      // They say the same, so they have the same id.
      expect(policies.revisionOf('acme')).toBe(`${own}.${own}`)
      expect(policies.revisionOf('Acme')).toBe(`.${own}`)
      await put(policies, 'acme', {})
      await put(policies, undefined, {})
      expect(policies.revisionOf('acme')).toBeUndefined()
      expect(policies.epoch).toBeGreaterThan(epoch)
    })

    it('of changes made of the same revision one wins, and the others are told', async () => {
      const { policies } = await openRegistry(await make())
      const change = (who: string) => policies.put({ scope: 'acme', document: quoted, from: 0, who })
      const ends = await Promise.allSettled(['a', 'b', 'c', 'd'].map(change))
      const lost = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []))
      expect(lost).toEqual([1, 2, 3].map(() => code('policy_changed')))
      await expect(change('e')).rejects.toThrow(code('policy_changed'))
      await expect(policies.put({ scope: 'acme', document: {}, from: 7, who: 'f' })).rejects.toThrow(
        code('policy_changed'),
      )
      expect(await policies.history('acme', 10)).toHaveLength(1)
    })

    it('files lie over what is set, over a restart, and whoever lays the same over again changes nothing', async () => {
      const harness = await make()
      const first = await harness.open()
      await put(first.policies, 'acme', { ...plain, streams: { door: plain } })
      const overlay = { document: quoted, places: { quoted_numbers: 'acme.yaml:2' } }
      const lay = (policies: Policies) => policies.overlay({ scope: 'acme', overlay, who: 'file acme.yaml' })
      const both = await Promise.allSettled([lay(first.policies), lay(first.policies)])
      // One of the two laid it over; the other found it so, or was told that it was late.
      expect(both.filter((one) => one.status === 'fulfilled' && one.value !== undefined)).toHaveLength(1)
      const document = { ...quoted, streams: { door: plain } }
      await first.close()
      const { policies } = await openRegistry(harness)
      expect(await lay(policies)).toBeUndefined()
      expect(await policies.read('acme')).toMatchObject({ revision: 2, document, who: 'file acme.yaml' })
      const refused = expect.objectContaining({
        code: 'policy_in_file',
        message: 'quoted_numbers is set by acme.yaml:2',
      }) as Error
      await expect(put(policies, 'acme', { ...plain, streams: {} })).rejects.toThrow(refused)
      await put(policies, 'acme', quoted)
      expect((await policies.read('acme'))?.sources).toEqual({
        set: plain,
        files: { quoted_numbers: 'acme.yaml:2' },
        by: { quoted_numbers: 'admin' },
      })
      const nothing = { document: {}, places: {} }
      expect(await policies.overlay({ scope: 'acme', overlay: nothing, who: 'file acme.yaml' })).toMatchObject({
        revision: 4,
        document: plain,
      })
      expect(await policies.overlay({ scope: 'none', overlay: nothing, who: 'file' })).toBeUndefined()
    })

    it('a tenant that cannot be one has none', async () => {
      const { policies } = await openRegistry(await make())
      await expect(policies.put({ scope: 'a/b', document: {}, from: 0, who: 'a' })).rejects.toThrow(
        code('name_invalid'),
      )
    })

    it('another process hears of a change', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const other = await openRegistry(harness).catch((error: unknown) => error)
      // A registry of one process is locked instead.
      if (other instanceof Error) return expect(other).toMatchObject({ code: 'data_locked' })
      const { policies } = other as typeof registry
      const heard = new Promise<void>((resolve) => (other as typeof registry).onChange(() => resolve()))
      await put(registry.policies, 'acme', quoted)
      await heard
      await policies.known()
      expect(policies.revisionOf('acme')).toBe(registry.policies.revisionOf('acme'))
    })
  })
}
