import { describe, expect, it } from 'vitest'
import type { Registry } from '../../shared/registry/port.ts'
import { createDevice, openRegistry, SIMILAR_NAMES, type MakeRegistryHarness } from './registry-harness.ts'

const code = (value: string) => expect.objectContaining({ code: value }) as Error

/** Names that differ only in case or punctuation are different devices, each with its own login. */
export async function checkNamesAreDistinct(registry: Registry): Promise<void> {
  const logins = new Map<string, string>()
  for (const tenant of ['acme', 'Acme']) {
    for (const device of SIMILAR_NAMES) {
      const { username, secret } = await createDevice(registry, `${tenant}/${device}`)
      expect(username).toBe(`${tenant}/${device}`)
      logins.set(username, secret)
    }
  }
  const names = [...logins.keys()]
  for (const [index, [username, secret]] of [...logins].entries()) {
    // Those that are alike stand beside each other, and in the other tenant at the same place.
    const others = [0, 1, 2, SIMILAR_NAMES.length].map((ahead) => names[(index + ahead) % names.length] ?? '')
    for (const other of others) {
      const principal = await registry.verifySecret(other, secret)
      expect(principal?.name).toBe(other === username ? username : undefined)
    }
  }
  const listed = await registry.listDevices({ tenant: 'acme', limit: 1000 })
  expect(listed.items.map(({ device }) => device)).toEqual(
    SIMILAR_NAMES.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  )
  await registry.removeDevice('acme', 'pump-1')
  expect((await registry.getDevice('acme', 'Pump-1'))?.device).toBe('Pump-1')
  expect(await registry.getDevice('acme', 'pump-1')).toBeUndefined()
}

export function describeDevices(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: devices`, () => {
    it('are kept with their tags, and found after reopening', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const tags = { site: 'Łódź', __proto__x: 'y', 'a.b': '' }
      await registry.createDevices([{ tenant: 'acme', device: 'p1', tags }])
      await registry.close()
      const found = await (await openRegistry(harness)).getDevice('acme', 'p1')
      expect(found).toMatchObject({ tenant: 'acme', device: 'p1', tags, lastSeenMs: undefined })
      expect(Math.abs((found?.createdMs ?? 0) - Date.now())).toBeLessThan(60_000)
    })

    it('differ when their names differ in anything', async () => {
      await checkNamesAreDistinct(await openRegistry(await make()))
    })

    it('are made all or none, and the first existing name is told', async () => {
      const registry = await openRegistry(await make())
      await createDevice(registry, 'acme/p2')
      await createDevice(registry, 'other/p9')
      const wanted = ['acme/p1', 'other/p9', 'acme/p2'].map((key) => key.split('/'))
      const devices = wanted.map(([tenant = '', device = '']) => ({ tenant, device }))
      await expect(registry.createDevices(devices)).rejects.toThrow(code('already_exists'))
      await expect(registry.createDevices(devices)).rejects.toThrow('"other/p9"')
      expect(await registry.getDevice('acme', 'p1')).toBeUndefined()
      const twice = [...'ab', 'a'].map((device) => ({ tenant: 'new', device }))
      await expect(registry.createDevices(twice)).rejects.toThrow('"new/a"')
      await expect(registry.createDevices(twice)).rejects.toThrow(code('already_exists'))
      expect((await registry.listDevices({ tenant: 'new', limit: 10 })).items).toEqual([])
    })

    it.each(['', '.', '..', 'x'.repeat(129), 'ü'.repeat(65), '\ud800'])('cannot be called %j', async (bad) => {
      const registry = await openRegistry(await make())
      const good = { tenant: 'acme', device: 'ok' }
      await expect(registry.createDevices([good, { tenant: 'a', device: bad }])).rejects.toThrow(code('name_invalid'))
      expect(await registry.getDevice('acme', 'ok')).toBeUndefined()
      expect(await registry.getDevice('acme', bad)).toBeUndefined()
      await expect(registry.removeDevice('acme', bad)).rejects.toThrow(code('not_found'))
    })

    it.each(['a\u0000', 'a\n', '\u202ea', 'a\u200b'])('cannot be called %j, which nobody would see', async (bad) => {
      const registry = await openRegistry(await make())
      const made = registry.createDevices([{ tenant: 'a', device: bad }])
      await expect(made).rejects.toThrow(code('name_character_invalid'))
      await expect(made).rejects.toThrow(/U\+[0-9A-F]{4}/)
      expect(await registry.getDevice('a', bad)).toBeUndefined()
    })

    it.each(['', '.', '..', 'a b', 'a/b', 'é', 'a\u0000', 'x'.repeat(65), '+', '#', 'a\n', ' a'])(
      'are of no tenant, and of no application, called %j',
      async (bad) => {
        const registry = await openRegistry(await make())
        await expect(registry.createDevices([{ tenant: bad, device: 'p' }])).rejects.toThrow(code('name_invalid'))
        await expect(registry.createApplication(bad, [])).rejects.toThrow(code('name_invalid'))
        expect(await registry.getDevice(bad, 'p')).toBeUndefined()
      },
    )

    it('cannot have too many or too long tags', async () => {
      const registry = await openRegistry(await make())
      const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`t${index}`, 'x']))
      for (const tags of [many, { a: 'x'.repeat(257) }, { ['x'.repeat(257)]: 'a' }, { '': 'a' }]) {
        const create = registry.createDevices([{ tenant: 'acme', device: 'p', tags }])
        await expect(create).rejects.toThrow(code('bad_request'))
      }
    })

    it('go with their logins and state, and may come back with other ones', async () => {
      const registry = await openRegistry(await make())
      const old = await createDevice(registry, 'acme/p1')
      const state = {
        tenant: 'acme',
        device: 'p1',
        stream: 's',
        fields: {},
        lastSeenMs: 5,
        log: 'l',
        partition: 0,
        offset: 1,
      }
      await registry.writeState([state])
      expect((await registry.getDevice('acme', 'p1'))?.lastSeenMs).toBe(5)
      await registry.removeDevice('acme', 'p1')
      await expect(registry.removeDevice('acme', 'p1')).rejects.toThrow(code('not_found'))
      expect(await registry.verifySecret(old.username, old.secret)).toBeUndefined()
      expect(await registry.verifyToken(old.token)).toBeUndefined()
      expect(await registry.readState('acme', 'p1')).toEqual([])
      const { secret } = await createDevice(registry, 'acme/p1')
      expect(await registry.verifySecret('acme/p1', old.secret)).toBeUndefined()
      expect((await registry.verifySecret('acme/p1', secret))?.kind).toBe('device')
      expect((await registry.getDevice('acme', 'p1'))?.lastSeenMs).toBeUndefined()
    })

    it('last seen is the latest of all their streams', async () => {
      const registry = await openRegistry(await make())
      await createDevice(registry, 'acme/p1')
      const row = { tenant: 'acme', device: 'p1', fields: {}, log: 'l', partition: 0, offset: 1 }
      await registry.writeState([
        { ...row, stream: 'a', lastSeenMs: 7 },
        { ...row, stream: 'b', lastSeenMs: 9 },
        { ...row, stream: 'c', lastSeenMs: 8 },
      ])
      const { items } = await registry.listDevices({ limit: 1 })
      expect(items.map(({ lastSeenMs }) => lastSeenMs)).toEqual([9])
    })
  })

  describe(`${name}: pages of devices`, () => {
    it('give every device once, in order, whatever the page size', async () => {
      const registry = await openRegistry(await make())
      const names = ['b/x', 'a/z', 'B/x', 'a/Z', 'a/1', 'c/-', 'a.b/x', 'a-b/x']
      for (const device of names) await createDevice(registry, device)
      for (const limit of [1, 2, 3, 7, 8, 9, 1000]) {
        const seen: string[] = []
        for (let cursor: string | undefined; ;) {
          const page = await registry.listDevices(cursor === undefined ? { limit } : { limit, cursor })
          seen.push(...page.items.map(({ tenant, device }) => `${tenant}/${device}`))
          if (page.next === undefined) break
          cursor = page.next
        }
        const byParts = names
          .map((key) => key.split('/'))
          .sort(([a = '', x = ''], [b = '', y = '']) => compare(a, b) || compare(x, y))
        expect(seen).toEqual(byParts.map((parts) => parts.join('/')))
      }
    })

    it('go on behind a device that was removed meanwhile', async () => {
      const registry = await openRegistry(await make())
      for (const device of ['a/1', 'a/2', 'a/3']) await createDevice(registry, device)
      const { next = '' } = await registry.listDevices({ tenant: 'a', limit: 2 })
      await registry.removeDevice('a', '2')
      expect((await registry.listDevices({ tenant: 'a', limit: 2, cursor: next })).items).toHaveLength(1)
    })

    it('refuse a cursor that is not one of theirs, and a limit out of range', async () => {
      const registry = await openRegistry(await make())
      for (const device of ['a/1', 'a/2', 'b/1']) await createDevice(registry, device)
      const { next = '' } = await registry.listDevices({ tenant: 'a', limit: 1 })
      const forged = Buffer.from('d1/a b/c').toString('base64url')
      for (const cursor of ['', 'x', `${next}=`, `${next}A`, next.slice(1), forged, '\u0000', 'A'.repeat(10_000)]) {
        await expect(registry.listDevices({ limit: 1, cursor })).rejects.toThrow(code('cursor_invalid'))
      }
      await expect(registry.listDevices({ tenant: 'b', limit: 1, cursor: next })).rejects.toThrow(
        code('cursor_invalid'),
      )
      for (const limit of [0, -1, 1001, 1.5, Number.NaN]) {
        await expect(registry.listDevices({ limit })).rejects.toThrow(code('bad_request'))
      }
      expect((await registry.listDevices({ tenant: "a' or 1=1", limit: 9 })).items).toEqual([])
    })
  })

  describe(`${name}: devices that applications publish for`, () => {
    it('are made by those that may, a hundred an hour, and none that was removed', async () => {
      const registry = await openRegistry(await make())
      await registry.createApplication('plain', [])
      await registry.createApplication('maker', [], { createsDevices: true })
      await createDevice(registry, 'acme/old')
      await createDevice(registry, 'acme/here')
      await registry.removeDevice('acme', 'old')
      const admit = (by: string, device: string) => registry.admitDevice(by, { tenant: 'acme', device })
      expect(await admit('plain', 'here')).toBe('known')
      expect(await admit('plain', 'new')).toBe('unknown')
      expect(await admit('nobody', 'new')).toBe('unknown')
      expect(registry.names.isKnown('acme', 'new')).toBe(false)
      expect(await admit('maker', 'old')).toBe('removed')
      expect(await admit('maker', '')).toBe('unknown')
      const answers = await Promise.all(['new', 'new', 'new'].map((device) => admit('maker', device)))
      expect(answers).toContain('made')
      expect(registry.names.isKnown('acme', 'new')).toBe(true)
      expect(registry.names.isKnown('acme', 'old')).toBe(false)
      let made = 0
      for (let i = 0; i < 101; i += 1) if ((await admit('maker', `n${i}`)) === 'made') made += 1
      expect(made).toBeGreaterThan(95)
      expect(made).toBeLessThan(100)
      expect(await admit('maker', 'another')).toBe('too_many')
      await registry.setRules('maker', [])
      expect((await registry.getApplication('maker'))?.createsDevices).toBe(true)
      await registry.setRules('maker', [], { createsDevices: false })
      expect(await admit('maker', 'another')).toBe('unknown')
      await registry.removeDevice('acme', 'new')
      expect(registry.names.isKnown('acme', 'new')).toBe(false)
    })
  })
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
