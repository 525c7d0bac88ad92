import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Registry } from '../../shared/registry/port.ts'
import { createDevice, openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

async function uidOf(registry: Registry, device: string, tenant = 'acme'): Promise<string | undefined> {
  return (await registry.getDevice(tenant, device))?.uid
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => String((error as { code?: unknown }).code),
  )

const NAMES = ['a', 'b', 'A'] as const
const steps = fc.array(fc.record({ make: fc.boolean(), device: fc.constantFrom(...NAMES) }), { maxLength: 25 })

/** The promise of `Device.uid`; `make` gives another empty registry each time. */
export function describeUids(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: uids`, () => {
    it('the first device of a name is stored under it, and no later one is', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const uids = new Set<string | undefined>()
      for (let round = 0; round < 20; round += 1) {
        await createDevice(registry, 'acme/p1')
        const uid = await uidOf(registry, 'p1')
        expect(uid).toMatch(round === 0 ? /^p1$/ : /^[0-9a-f]{32}$/)
        uids.add(uid)
        expect((await registry.listDevices({ limit: 9 })).items.map((device) => device.uid)).toEqual([uid])
        if (round < 19) await registry.removeDevice('acme', 'p1')
      }
      expect(uids.size).toBe(20)
      await createDevice(registry, 'Acme/p1')
      await createDevice(registry, 'acme/P1')
      expect([await uidOf(registry, 'p1', 'Acme'), await uidOf(registry, 'P1')]).toEqual(['p1', 'P1'])
      const last = await uidOf(registry, 'p1')
      await registry.close()
      expect(await uidOf(await openRegistry(harness), 'p1')).toBe(last)
    })

    it('a uid that was issued is no name to be stored under', async () => {
      const registry = await openRegistry(await make())
      for (let round = 0; round < 2; round += 1) {
        await createDevice(registry, 'acme/p1')
        if (round === 0) await registry.removeDevice('acme', 'p1')
      }
      const issued = (await uidOf(registry, 'p1')) ?? ''
      await createDevice(registry, `acme/${issued}`)
      expect(await uidOf(registry, issued)).not.toBe(issued)
    })

    it('a name under which something is stored already is none either', async () => {
      const registry = await openRegistry(await make())
      const position = { log: 'l', partition: 0, offset: 1 }
      await registry.writeState([{ tenant: 'acme', device: 'p1', stream: 's', fields: {}, lastSeenMs: 5, ...position }])
      await registry.createDevices([
        { tenant: 'acme', device: 'p1' },
        { tenant: 'acme', device: 'p2', isUsed: true },
        { tenant: 'acme', device: 'p3', isUsed: false },
      ])
      const uids = await Promise.all(['p1', 'p2', 'p3'].map((device) => uidOf(registry, device)))
      expect(uids).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), expect.stringMatching(/^[0-9a-f]{32}$/), 'p3'])
    })

    it('a device that is claimed again is another one', async () => {
      const registry = await openRegistry(await make())
      const { key } = await registry.claimKeys.create({ tenant: 'acme', maxUses: 9, expiresMs: undefined })
      await registry.claimKeys.claim(key, 'p1')
      await registry.claimKeys.claim(key, 'p1')
      expect(await uidOf(registry, 'p1')).toBe('p1')
      await registry.removeDevice('acme', 'p1')
      await registry.claimKeys.claim(key, 'p1')
      expect(await uidOf(registry, 'p1')).not.toBe('p1')
    })

    it('a device that is renamed keeps uid, state and credentials, and its former name is free', async () => {
      const registry = await openRegistry(await make())
      const { username, secret, token } = await createDevice(registry, 'acme/p1')
      const state = { fields: {}, lastSeenMs: 5, log: 'l', partition: 0, offset: 1 }
      await registry.writeState([{ tenant: 'acme', device: 'p1', stream: 's', ...state }])
      const ends: [string, boolean][] = []
      registry.onChange((name, ended) => ends.push([name, ended]))
      await registry.renameDevice({ tenant: 'acme', device: 'p1' }, 'p2')
      expect(ends).toEqual([
        ['acme/p1', true],
        ['acme/p2', false],
      ])
      expect(await registry.getDevice('acme', 'p1')).toBeUndefined()
      expect(await registry.getDevice('acme', 'p2')).toMatchObject({ uid: 'p1', lastSeenMs: 5 })
      const principal = { kind: 'device', name: 'acme/p2', tenant: 'acme', device: 'p2', uid: 'p1' }
      expect(await registry.verifySecret(username, secret)).toEqual(principal)
      expect(await registry.verifyToken(token)).toEqual(principal)
      // As a certificate has it.
      expect(await registry.principalNamed('acme/p1')).toEqual(principal)
      const names = () => ['p1', 'p2'].map((name) => registry.names.uidOf('acme', name))
      expect([...names(), registry.names.nameOf('acme', 'p1')]).toEqual(['p1', 'p1', 'p2'])

      const other = await createDevice(registry, 'acme/p1')
      const uid = (await uidOf(registry, 'p1')) ?? ''
      expect(uid).toMatch(/^[0-9a-f]{32}$/)
      expect([...names(), registry.names.nameOf('acme', uid)]).toEqual([uid, 'p1', 'p1'])
      expect(await registry.principalNamed('acme/p1')).toMatchObject({ uid })
      expect((await registry.verifySecret(other.username, other.secret))?.name).toBe('acme/p1')
      expect((await registry.verifySecret(username, secret))?.name).toBe('acme/p2')
      await registry.removeDevice('acme', 'p1')
      expect((await registry.verifySecret(username, secret))?.name).toBe('acme/p2')
    })

    it('a name that is none, another device has, or nobody has, is not given and not changed', async () => {
      const registry = await openRegistry(await make())
      for (const device of ['p1', 'p2']) await createDevice(registry, `acme/${device}`)
      const rename = (device: string, to: string) => codeOf(registry.renameDevice({ tenant: 'acme', device }, to))
      expect(await rename('p1', 'p2')).toBe('already_exists')
      expect(await rename('p1', 'p1')).toBe('already_exists')
      expect(await rename('p3', 'p4')).toBe('not_found')
      expect(await rename('p1', '')).toBe('name_invalid')
      expect(await rename('p1', 'a\u0000')).toBe('name_character_invalid')
      expect([await uidOf(registry, 'p1'), await uidOf(registry, 'p2')]).toEqual(['p1', 'p2'])
    })

    it('a history is adopted by its uid or last name, by one device, and only while it is nobody’s', async () => {
      const registry = await openRegistry(await make())
      const adopt = (device: string, history: string, isUsed = false) =>
        codeOf(registry.createDevices([{ tenant: 'acme', device, adopt: { history, isUsed } }]))
      await createDevice(registry, 'acme/p1')
      expect(await adopt('x', 'p1')).toBe('already_exists')
      await registry.renameDevice({ tenant: 'acme', device: 'p1' }, 'p2')
      expect(await adopt('x', 'p1')).toBe('already_exists')
      await registry.removeDevice('acme', 'p2')
      expect(await adopt('x', 'none')).toBe('not_found')
      const both = await Promise.all([adopt('x', 'p2'), adopt('y', 'p1')])
      // Behind the other one, p2 is nobody's last name any more.
      expect(both.map((code) => (code === 'not_found' ? 'already_exists' : code)).sort()).toEqual([
        'already_exists',
        'done',
      ])
      expect([await uidOf(registry, 'x'), await uidOf(registry, 'y')].filter((uid) => uid !== undefined)).toEqual([
        'p1',
      ])
      expect(await adopt('z', 'of-before', true)).toBe('done')
      expect(await uidOf(registry, 'z')).toBe('of-before')
      expect([registry.names.uidOf('acme', 'z'), registry.names.nameOf('acme', 'of-before')]).toEqual([
        'of-before',
        'z',
      ])
    })

    it('no two devices of any history have the same', { timeout: 60_000 }, async () => {
      let tenants = 0
      const registry = await openRegistry(await make())
      await fc.assert(
        fc.asyncProperty(steps, async (history) => {
          const tenant = `t${(tenants += 1)}`
          const known = new Set<string>()
          const there = new Set<string>()
          for (const { make: makes, device } of history) {
            const work = makes ? createDevice(registry, `${tenant}/${device}`) : registry.removeDevice(tenant, device)
            const refusal = makes ? 'already_exists' : 'not_found'
            expect(await codeOf(work)).toBe(there.has(device) === makes ? refusal : 'done')
            if (there.has(device) === makes) continue
            if (!makes) there.delete(device)
            else {
              there.add(device)
              const uid = (await uidOf(registry, device, tenant)) ?? ''
              expect(known).not.toContain(uid)
              expect(uid === device).toBe(!known.has(device))
              known.add(uid)
            }
          }
        }),
        { numRuns: 30 },
      )
    })

    it('a device that is made while it is removed is made or is there', { timeout: 60_000 }, async () => {
      const registry = await openRegistry(await make())
      const codes = new Set<string>()
      const both = [
        () => registry.createDevices([{ tenant: 'acme', device: 'p1' }]),
        () => registry.removeDevice('acme', 'p1'),
      ]
      for (let round = 0; round < 20; round += 1) {
        const all = Array.from({ length: 10 }, () => both).flat()
        for (const code of await Promise.all(all.map((work) => codeOf(work())))) codes.add(code)
      }
      expect([...codes].sort()).toEqual(['already_exists', 'done', 'not_found'])
    })
  })
}
