import { newApiKey } from '../../shared/registry/credentials.ts'
import { describe, expect, it } from 'vitest'
import type { AclRule } from '../../shared/registry/port.ts'
import { createDevice, openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

const code = (value: string) => expect.objectContaining({ code: value }) as Error
const allow = (topic: string): AclRule => ({ effect: 'allow', action: 'subscribe', topic })

export function describeLogins(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: logins`, () => {
    it('of a device hold after reopening, by secret and by token', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const { username, secret, token } = await createDevice(registry, 'acme/p1')
      await registry.close()
      const again = await openRegistry(harness)
      const principal = { kind: 'device', name: 'acme/p1', tenant: 'acme', device: 'p1', uid: 'p1' }
      expect(await again.verifySecret(username, secret)).toEqual(principal)
      expect(await again.verifyToken(token)).toEqual(principal)
    })

    it('accept nothing else', async () => {
      const registry = await openRegistry(await make())
      const one = await createDevice(registry, 'acme/p1')
      const other = await createDevice(registry, 'acme/p2')
      const app = await registry.createApplication('p1', [])
      const wrong: [string, string][] = [
        ['acme/p1', other.secret],
        ['acme/p1', app.secret],
        ['acme/p1', one.token],
        ['acme/p1', ''],
        ['acme/p1', `${one.secret} `],
        ['acme/p1', one.secret.toLowerCase()],
        ['acme/p1', one.secret.slice(1)],
        ['acme/p1', 'x'.repeat(100_000)],
        ['acme/p3', one.secret],
        ['p1', one.secret],
        ['Acme/p1', one.secret],
        ['acme/p1 ', one.secret],
        ['acme/p1\u0000', one.secret],
        ['acme/%', one.secret],
        ["acme/p1' or '1'='1", one.secret],
        ['', one.secret],
      ]
      for (const [username, secret] of wrong) expect(await registry.verifySecret(username, secret)).toBeUndefined()
      const tokens = [
        '',
        'slt_',
        one.secret,
        `${one.token}x`,
        one.token.slice(4),
        ` ${one.token}`,
        one.token.toUpperCase(),
      ]
      for (const token of tokens) expect(await registry.verifyToken(token)).toBeUndefined()
      expect(await registry.verifyApiKey(one.token)).toBeUndefined()
    })

    it('are different each time, and safe in URLs and shells', async () => {
      const registry = await openRegistry(await make())
      const devices = Array.from({ length: 200 }, (_, index) => ({ tenant: 'acme', device: `d${index}` }))
      const made = await registry.createDevices(devices)
      expect(made.map(({ username }) => username)).toEqual(devices.map(({ device }) => `acme/${device}`))
      for (const { secret, token } of made) {
        expect(secret).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{23}$/)
        expect(token).toMatch(/^slt_[A-Za-z0-9_-]{32}$/)
      }
      expect(new Set(made.flatMap(({ secret, token }) => [secret, token])).size).toBe(400)
    })

    it('of applications bring their rules, in order', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const rules: AclRule[] = [
        { effect: 'deny', action: 'publish', topic: 'z/#' },
        { effect: 'allow', action: 'publish', topic: '+/é/#' },
        allow('a'),
      ]
      const { username, secret, token } = await registry.createApplication('dash', rules)
      await registry.createApplication('Dash', [])
      expect(username).toBe('dash')
      await registry.close()
      const again = await openRegistry(harness)
      const principal = { kind: 'application', name: 'dash', rules }
      expect(await again.verifySecret('dash', secret)).toEqual(principal)
      expect(await again.verifyToken(token)).toEqual(principal)
      expect(await again.applicationPrincipal('dash')).toEqual(principal)
      expect(await again.applicationPrincipal('Dash')).toEqual({ kind: 'application', name: 'Dash', rules: [] })
      expect(await again.applicationPrincipal('dAsh')).toBeUndefined()
      expect((await again.listApplications()).map((application) => application.name)).toEqual(['Dash', 'dash'])
      expect(await again.getApplication('dash')).toMatchObject({ name: 'dash', rules })
    })

    it('of applications get other rules while they live', async () => {
      const registry = await openRegistry(await make())
      const { secret } = await registry.createApplication('dash', [allow('a'), allow('b')])
      await registry.createApplication('other', [allow('z')])
      const heard: string[] = []
      registry.onChange((changed) => heard.push(changed))
      const rules: AclRule[] = [{ effect: 'deny', action: 'publish', topic: 'c' }, allow('d'), allow('e')]
      await registry.setRules('dash', rules)
      expect(await registry.verifySecret('dash', secret)).toEqual({ kind: 'application', name: 'dash', rules })
      await registry.setRules('dash', [])
      expect((await registry.getApplication('dash'))?.rules).toEqual([])
      expect((await registry.getApplication('other'))?.rules).toEqual([allow('z')])
      expect(heard).toEqual(['dash', 'dash'])
      await expect(registry.setRules('Dash', [])).rejects.toThrow(code('not_found'))
      await expect(registry.setRules('dash', [allow('a/#/b')])).rejects.toThrow(code('filter_invalid'))
      expect(heard).toEqual(['dash', 'dash'])
    })

    it('of applications go with them', async () => {
      const registry = await openRegistry(await make())
      const { secret, token } = await registry.createApplication('dash', [allow('#')])
      await expect(registry.createApplication('dash', [])).rejects.toThrow(code('already_exists'))
      expect((await registry.getApplication('dash'))?.rules).toHaveLength(1)
      await registry.removeApplication('dash')
      await expect(registry.removeApplication('dash')).rejects.toThrow(code('not_found'))
      expect(await registry.verifySecret('dash', secret)).toBeUndefined()
      expect(await registry.verifyToken(token)).toBeUndefined()
      expect(await registry.applicationPrincipal('dash')).toBeUndefined()
      await registry.createApplication('dash', [])
      expect((await registry.getApplication('dash'))?.rules).toEqual([])
    })

    it('are not made with rules that are none', async () => {
      const registry = await openRegistry(await make())
      const create = (rule: unknown) => registry.createApplication('dash', [rule as AclRule]) // unchecked input
      await expect(create({ effect: 'maybe', action: 'publish', topic: 'a' })).rejects.toThrow(code('bad_request'))
      await expect(create(allow('a/#/b'))).rejects.toThrow(code('filter_invalid'))
      await expect(create(allow('$SYS/#'))).rejects.toThrow(code('filter_invalid'))
      expect(await registry.getApplication('dash')).toBeUndefined()
    })

    it('tell who listens what changed, until it stops listening', async () => {
      const registry = await openRegistry(await make())
      const heard: string[] = []
      registry.onChange(() => {
        throw new Error('a listener that fails stops nobody else')
      })
      const stop = registry.onChange((changed) => heard.push(changed))
      await registry.createDevices(['p1', 'p2'].map((device) => ({ tenant: 'acme', device })))
      await registry.removeDevice('acme', 'p1')
      await registry.createApplication('dash', [])
      await registry.removeApplication('dash')
      await expect(createDevice(registry, 'acme/p2')).rejects.toThrow(code('already_exists'))
      expect(heard).toEqual(['acme/p1', 'acme/p2', 'acme/p1', 'dash', 'dash'])
      stop()
      await createDevice(registry, 'acme/p3')
      expect(heard).toHaveLength(5)
    })
  })

  describe(`${name}: keys`, () => {
    it('the admin key is the one that was set last', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const [before, key] = [newApiKey(), newApiKey()]
      const first = await Promise.all([registry.setAdminKey(before), registry.setAdminKey(before)])
      expect(first.toSorted()).toEqual([false, true])
      expect(await registry.verifyApiKey(before)).toBe('admin')
      expect(await registry.setAdminKey(key)).toBe(false)
      for (const weak of ['', 'admin', 'slk_', 'slk_short', newApiKey().replace('slk_', 'slt_')]) {
        await expect(registry.setAdminKey(weak)).rejects.toMatchObject({ code: 'setting_invalid' })
      }
      await registry.close()
      const again = await openRegistry(harness)
      expect(await again.verifyApiKey(before)).toBeUndefined()
      expect(await again.verifyApiKey(key)).toBe('admin')
      for (const wrong of ['', 'slk_', `${key}x`, key.slice(0, -1), key.replace('slk_', 'slt_')]) {
        expect(await again.verifyApiKey(wrong)).toBeUndefined()
      }
      expect(await again.verifyToken(key)).toBeUndefined()
    })

    it('a registry opens with the credential key it was made with only', async () => {
      const harness = await make()
      await (await openRegistry(harness)).close()
      await expect(harness.open(Buffer.alloc(32, 7))).rejects.toThrow(code('credential_key_mismatch'))
      await expect(harness.open(Buffer.alloc(31))).rejects.toThrow(code('setting_invalid'))
      await openRegistry(harness)
    })

    it('an audit entry of any length is kept', async () => {
      const registry = await openRegistry(await make())
      await registry.audit({
        who: 'x'.repeat(999),
        action: 'a'.repeat(99),
        subject: 's'.repeat(999),
        detail: 'd'.repeat(9999),
      })
      await registry.audit({ who: 'admin', action: 'device.create', subject: 'acme/p1' })
    })

    it('a closed registry says so, and closes once', async () => {
      const registry = await openRegistry(await make())
      const last = createDevice(registry, 'acme/p1')
      await Promise.all([registry.close(), registry.close()])
      await last
      await expect(registry.getDevice('a', 'b')).rejects.toThrow(code('closed'))
      await expect(registry.writeState([])).resolves.toBeUndefined()
    })
  })
}
