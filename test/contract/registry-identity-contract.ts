import { describe, expect, it, vi } from 'vitest'
import type { Registry } from '../../shared/registry/port.ts'
import { createDevice, openRegistry, type MakeRegistryHarness } from './registry-harness.ts'
import { PATIENCE } from '../patience.ts'

const code = (value: string) => expect.objectContaining({ code: value }) as Error
const WEEK_MS = 7 * 86_400_000

/** The old credential works until the new one is first used, and never after. */
export async function checkRotation(registry: Registry): Promise<void> {
  const old = await createDevice(registry, 'acme/p1')
  expect((await registry.verifySecret('acme/p1', old.secret))?.name).toBe('acme/p1')
  const next = await registry.credentials.rotate('acme/p1', WEEK_MS)
  expect(next.username).toBe('acme/p1')
  for (let time = 0; time < 2; time += 1) {
    expect((await registry.verifySecret('acme/p1', old.secret))?.name).toBe('acme/p1')
    expect((await registry.verifyToken(old.token))?.name).toBe('acme/p1')
  }
  expect((await registry.verifyToken(next.token))?.name).toBe('acme/p1')
  expect(await registry.verifySecret('acme/p1', old.secret)).toBeUndefined()
  expect(await registry.verifyToken(old.token)).toBeUndefined()
  expect((await registry.verifySecret('acme/p1', next.secret))?.name).toBe('acme/p1')
  expect(await registry.credentials.list('acme/p1')).toHaveLength(1)
}

export function describeIdentity(name: string, make: MakeRegistryHarness): void {
  describeRotation(name, make)
  describeEndings(name, make)
  describe(`${name}: audit`, () => {
    it('is read back, the newest first, page by page', async () => {
      const registry = await openRegistry(await make())
      const entries = Array.from({ length: 5 }, (_, index) => ({ who: 'admin', action: 'a', subject: `s${index}` }))
      await registry.audit(...entries)
      await registry.audit({ who: 'x', action: 'b', subject: 's5', detail: 'why' })
      const first = await registry.listAudit({ limit: 2 })
      expect(first).toMatchObject([
        { who: 'x', action: 'b', subject: 's5', detail: 'why' },
        { subject: 's4', detail: undefined },
      ])
      const rest = await registry.listAudit({ limit: 10, before: first.at(-1)?.id ?? 0 })
      expect(rest.map(({ subject }) => subject)).toEqual(['s3', 's2', 's1', 's0'])
      await expect(registry.listAudit({ limit: 0 })).rejects.toThrow(code('bad_request'))
    })
  })
}

function describeRotation(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: rotation`, () => {
    it('keeps the old credential until the new one is first used', async () => {
      await checkRotation(await openRegistry(await make()))
    })

    it('ends the old credential after the overlap, whoever uses what', async () => {
      const registry = await openRegistry(await make())
      const old = await createDevice(registry, 'acme/p1')
      await registry.credentials.rotate('acme/p1', 3_000)
      expect(await registry.verifySecret('acme/p1', old.secret)).toBeDefined()
      await vi.waitFor(async () => expect(await registry.verifySecret('acme/p1', old.secret)).toBeUndefined(), PATIENCE)
      expect(await registry.verifyToken(old.token)).toBeUndefined()
      expect(await registry.credentials.list('acme/p1')).toHaveLength(1)
    })

    it('with no overlap ends it at once', async () => {
      const registry = await openRegistry(await make())
      const old = await createDevice(registry, 'acme/p1')
      const next = await registry.credentials.rotate('acme/p1', 0)
      expect(await registry.verifyToken(old.token)).toBeUndefined()
      expect(await registry.verifySecret('acme/p1', next.secret)).toBeDefined()
    })

    it('repeated replaces what nobody used, and never the one in use', async () => {
      const registry = await openRegistry(await make())
      const old = await createDevice(registry, 'acme/p1')
      const lost = await registry.credentials.rotate('acme/p1', WEEK_MS)
      const next = await registry.credentials.rotate('acme/p1', WEEK_MS)
      expect(await registry.credentials.list('acme/p1')).toHaveLength(2)
      expect(await registry.verifySecret('acme/p1', lost.secret)).toBeUndefined()
      expect(await registry.verifySecret('acme/p1', old.secret)).toBeDefined()
      expect(await registry.verifySecret('acme/p1', next.secret)).toBeDefined()
      expect(await registry.verifySecret('acme/p1', old.secret)).toBeUndefined()
    })

    it('tells listeners without ending the login, also when the new one is first used', async () => {
      const registry = await openRegistry(await make())
      const heard: [string, boolean][] = []
      await createDevice(registry, 'acme/p1')
      registry.onChange((changed, ended) => heard.push([changed, ended]))
      const next = await registry.credentials.rotate('acme/p1', WEEK_MS)
      await registry.verifySecret('acme/p1', next.secret)
      expect(heard).toEqual([
        ['acme/p1', false],
        ['acme/p1', false],
      ])
      expect((await registry.getDevice('acme', 'p1'))?.login).toEqual({ disabled: false, endedMs: undefined })
    })

    it('is for applications too, and for nobody who does not exist', async () => {
      const registry = await openRegistry(await make())
      const old = await registry.createApplication('dash', [])
      const next = await registry.credentials.rotate('dash', WEEK_MS)
      expect((await registry.verifyToken(next.token))?.kind).toBe('application')
      expect(await registry.verifyToken(old.token)).toBeUndefined()
      for (const nobody of ['acme/p1', 'Dash', '', 'a/b/c', '%']) {
        await expect(registry.credentials.rotate(nobody, 0)).rejects.toThrow(code('not_found'))
        await expect(registry.credentials.list(nobody)).rejects.toThrow(code('not_found'))
      }
      for (const overlap of [-1, 1.5, Number.NaN, 1e15]) {
        await expect(registry.credentials.rotate('dash', overlap)).rejects.toThrow(code('bad_request'))
      }
    })

    it('shows what there is and when it was used, across a restart, and no secret', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const { token, secret } = await createDevice(registry, 'acme/p1')
      expect(await registry.credentials.list('acme/p1')).toMatchObject([{ kind: 'issued', lastUsedMs: undefined }])
      await registry.verifySecret('acme/p1', secret)
      await registry.close()
      const again = await openRegistry(harness)
      const [shown] = await again.credentials.list('acme/p1')
      expect(Math.abs((shown?.lastUsedMs ?? 0) - Date.now())).toBeLessThan(60_000)
      expect(JSON.stringify(shown)).not.toMatch(new RegExp(`${secret}|${token}`))
    })
  })
}

function describeEndings(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: the end of a login`, () => {
    it('disabled: nothing works until it is enabled, then everything as before', async () => {
      const registry = await openRegistry(await make())
      const { secret, token } = await createDevice(registry, 'acme/p1')
      await registry.credentials.setDisabled('acme/p1', true)
      expect(await registry.verifySecret('acme/p1', secret)).toBeUndefined()
      expect(await registry.verifyToken(token)).toBeUndefined()
      expect(await registry.principalNamed('acme/p1')).toBeUndefined()
      const login = (await registry.getDevice('acme', 'p1'))?.login
      expect(login?.disabled).toBe(true)
      expect(Math.abs((login?.endedMs ?? 0) - Date.now())).toBeLessThan(60_000)
      await registry.credentials.setDisabled('acme/p1', false)
      expect((await registry.verifySecret('acme/p1', secret))?.name).toBe('acme/p1')
      expect((await registry.principalNamed('acme/p1'))?.name).toBe('acme/p1')
      expect((await registry.getDevice('acme', 'p1'))?.login.endedMs).toBe(login?.endedMs)
    })

    it('revoked: enabling brings no credential back', async () => {
      const registry = await openRegistry(await make())
      const app = await registry.createApplication('dash', [])
      await registry.credentials.revoke('dash')
      expect((await registry.getApplication('dash'))?.login.disabled).toBe(true)
      await registry.credentials.setDisabled('dash', false)
      expect(await registry.verifyToken(app.token)).toBeUndefined()
      const next = await registry.credentials.rotate('dash', 0)
      expect((await registry.verifySecret('dash', next.secret))?.name).toBe('dash')
      await expect(registry.credentials.revoke('nobody')).rejects.toThrow(code('not_found'))
    })

    it('is told as such, and a device made again starts anew', async () => {
      const registry = await openRegistry(await make())
      await createDevice(registry, 'acme/p1')
      const heard: boolean[] = []
      registry.onChange((_changed, ended) => heard.push(ended))
      await registry.credentials.setDisabled('acme/p1', true)
      await registry.credentials.setDisabled('acme/p1', false)
      await registry.credentials.revoke('acme/p1')
      await registry.removeDevice('acme', 'p1')
      const { secret } = await createDevice(registry, 'acme/p1')
      expect(heard).toEqual([true, false, true, true, false])
      expect(await registry.verifySecret('acme/p1', secret)).toBeDefined()
    })

    it('of many devices at once: those that exist go', async () => {
      const registry = await openRegistry(await make())
      const devices = Array.from({ length: 1200 }, (_, index) => ({ tenant: 'sim', device: `d${index}` }))
      const [first] = await registry.createDevices(devices)
      const kept = await createDevice(registry, 'sim2/d0')
      const asked = [...devices, { tenant: 'sim', device: 'none' }, { tenant: 'a b', device: 'x' }]
      expect(await registry.existingDevices(asked)).toEqual(devices)
      expect(await registry.removeDevices(asked)).toEqual(devices)
      expect(await registry.removeDevices(asked)).toEqual([])
      expect((await registry.listDevices({ tenant: 'sim', limit: 10 })).items).toEqual([])
      expect(await registry.verifyToken(first?.token ?? '')).toBeUndefined()
      expect((await registry.verifyToken(kept.token))?.name).toBe('sim2/d0')
    })

    it('of a name that something else vouches for needs the name to exist', async () => {
      const registry = await openRegistry(await make())
      await createDevice(registry, 'acme/p1')
      await registry.createApplication('dash', [])
      expect(await registry.principalNamed('acme/p1')).toMatchObject({ kind: 'device', tenant: 'acme', device: 'p1' })
      expect(await registry.principalNamed('dash')).toMatchObject({ kind: 'application' })
      for (const none of ['acme/P1', 'acme', '', 'a/b/c', "x' or '1'='1", '\u0000']) {
        expect(await registry.principalNamed(none)).toBeUndefined()
      }
    })
  })
}
