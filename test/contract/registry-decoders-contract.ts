import { describe, expect, it } from 'vitest'
import type { DecoderDefinition } from '../../shared/registry/decoders-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

const code = (value: string) => expect.objectContaining({ code: value }) as Error
const codec = (content: string): DecoderDefinition => ({ kind: 'codec', content, options: { port: 2 } })
const who = 'admin'

async function setPolicy(registry: Registry, scope: string | undefined, document: object): Promise<void> {
  const from = (await registry.policies.read(scope))?.revision ?? 0
  await registry.policies.put({ scope, document, from, who })
}

/** The promises of `Decoders`. */
export function describeDecoders(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: decoders`, () => {
    it('every content is kept under its id, over a restart, and after it is removed', async () => {
      const harness = await make()
      const first = await harness.open()
      const one = await first.decoders.put({ scope: 'acme', name: 'door', definition: codec('one'), who })
      const two = await first.decoders.put({ scope: 'acme', name: 'door', definition: codec('zwö '), who })
      await first.decoders.put({ scope: undefined, name: 'door', definition: codec('all'), who })
      expect([one.revision, two.revision]).toEqual([1, 2])
      await first.decoders.remove('acme', 'door', who)
      await first.close()
      const { decoders } = await openRegistry(harness)
      expect(await decoders.find([one.id, two.id, '', '0123456789abcdef'])).toEqual(
        new Map([
          [one.id, codec('one')],
          [two.id, codec('zwö ')],
        ]),
      )
      expect(await decoders.read('acme', 'door')).toBeUndefined()
      expect(await decoders.list({ scope: 'acme' })).toEqual([])
      expect((await decoders.list()).map(({ scope, bytes }) => [scope, bytes])).toEqual([[undefined, 3]])
    })

    it('policies name the content in force, and follow an upload in the same step', async () => {
      const registry = await openRegistry(await make())
      const { decoders, policies } = registry
      await expect(setPolicy(registry, 'acme', { decoder: 'codec:door' })).rejects.toThrow(code('policy_invalid'))
      const all = await decoders.put({ scope: undefined, name: 'door', definition: codec('all'), who })
      await setPolicy(registry, 'acme', { decoder: 'codec:door', streams: { x: { decoder: 'codec:door' } } })
      await setPolicy(registry, 'other', { decoder: 'codec:door', time_zone: 'Europe/Berlin' })
      await setPolicy(registry, undefined, { decoder: 'json' })
      const pinned = (id: string) => ({ decoder: `codec:door@${id}`, streams: { x: { decoder: `codec:door@${id}` } } })
      expect((await policies.read('acme'))?.document).toEqual(pinned(all.id))
      const before = policies.revisionOf('acme')
      const own = await decoders.put({ scope: 'acme', name: 'door', definition: codec('own'), who: 'somebody' })
      expect(await policies.read('acme')).toMatchObject({ document: pinned(own.id), who: 'somebody', revision: 2 })
      expect(policies.revisionOf('acme')).not.toBe(before)
      // What is read back may be set again; another content may not.
      await setPolicy(registry, 'acme', pinned(own.id))
      await expect(setPolicy(registry, 'acme', pinned(all.id))).rejects.toThrow(code('policy_invalid'))
      const next = await decoders.put({ scope: undefined, name: 'door', definition: codec('next'), who })
      expect((await policies.read('acme'))?.document).toEqual(pinned(own.id))
      expect((await policies.read('other'))?.document).toEqual({
        decoder: `codec:door@${next.id}`,
        time_zone: 'Europe/Berlin',
      })
      expect((await policies.read(undefined))?.revision).toBe(1)
    })

    it('one that a policy names is not removed, and its kind stays', async () => {
      const registry = await openRegistry(await make())
      const { decoders } = registry
      await decoders.put({ scope: undefined, name: 'door', definition: codec('all'), who })
      await setPolicy(registry, 'acme', { decoder: 'codec:door' })
      await expect(decoders.remove(undefined, 'door', who)).rejects.toThrow(code('decoder_in_use'))
      await expect(decoders.remove('acme', 'door', who)).rejects.toThrow(code('not_found'))
      const protobuf = { kind: 'protobuf', content: 'all', options: {} } as const
      await expect(decoders.put({ scope: undefined, name: 'door', definition: protobuf, who })).rejects.toThrow(
        code('decoder_invalid'),
      )
      await setPolicy(registry, 'acme', {})
      await decoders.remove(undefined, 'door', who)
      await expect(decoders.put({ scope: undefined, name: '../x', definition: protobuf, who })).rejects.toThrow(
        code('name_invalid'),
      )
    })

    it('the same content again is no revision, and is told', async () => {
      const registry = await openRegistry(await make())
      const { decoders } = registry
      await decoders.put({ scope: 'acme', name: 'door', definition: codec('one'), who })
      let told = 0
      const unsubscribe = decoders.onPut(() => (told += 1))
      const again = await decoders.put({ scope: 'acme', name: 'door', definition: codec('one'), who: 'another' })
      expect(again).toMatchObject({ revision: 1, who })
      expect(told).toBe(1)
      unsubscribe()
    })

    it('a file may name one that is uploaded later', async () => {
      const registry = await openRegistry(await make())
      const { decoders, policies } = registry
      const overlay = { document: { decoder: 'codec:door' }, places: { decoder: 'all.yaml:1' } }
      await policies.overlay({ scope: undefined, overlay, who: 'file all.yaml' })
      const { id } = await decoders.put({ scope: undefined, name: 'door', definition: codec('one'), who })
      expect((await policies.read(undefined))?.document).toEqual({ decoder: `codec:door@${id}` })
      expect(await policies.overlay({ scope: undefined, overlay, who: 'file all.yaml' })).toBeUndefined()
    })
  })
}
