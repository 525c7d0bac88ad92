import { describe, expect, it, vi } from 'vitest'
import type { Registry } from '../../shared/registry/port.ts'
import { createDevice, openRegistry, type MakeRegistryHarness } from './registry-harness.ts'
import { PATIENCE } from '../patience.ts'

const code = (value: string) => expect.objectContaining({ code: value }) as Error

async function newKey(registry: Registry, overrides: { maxUses?: number; expiresMs?: number } = {}) {
  return registry.claimKeys.create({ tenant: 'acme', maxUses: 10, expiresMs: undefined, ...overrides })
}

export function describeClaims(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: provisioning keys`, () => {
    it('make a device of their tenant with credentials of its own, across a restart', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      const tags = { batch: '7' }
      const { id, key } = await registry.claimKeys.create({ tenant: 'acme', maxUses: 2, expiresMs: undefined, tags })
      expect(key).toMatch(/^slc_[A-Za-z0-9_-]{32}$/)
      await registry.close()
      const again = await openRegistry(harness)
      const heard: string[] = []
      again.onChange((changed) => heard.push(changed))
      const made = await again.claimKeys.claim(key, 'pump-1')
      expect(made).toMatchObject({ tenant: 'acme', device: 'pump-1', username: 'acme/pump-1', keyId: id })
      expect((await again.verifySecret(made.username, made.secret))?.name).toBe('acme/pump-1')
      expect((await again.getDevice('acme', 'pump-1'))?.tags).toEqual(tags)
      expect(heard).toContain('acme/pump-1')
      expect(await again.claimKeys.list()).toMatchObject([{ id, tenant: 'acme', tags, uses: 1, maxUses: 2 }])
      expect(JSON.stringify(await again.claimKeys.list())).not.toContain(key)
    })

    it('give a device its credentials once: again only while nobody used them', async () => {
      const registry = await openRegistry(await make())
      const { key } = await newKey(registry)
      const lost = await registry.claimKeys.claim(key, 'pump-1')
      const other = await newKey(registry)
      await expect(registry.claimKeys.claim(other.key, 'pump-1')).rejects.toThrow(code('already_exists'))
      const made = await registry.claimKeys.claim(key, 'pump-1')
      expect(await registry.verifyToken(lost.token)).toBeUndefined()
      expect(await registry.verifyToken(made.token)).toBeDefined()
      await expect(registry.claimKeys.claim(key, 'pump-1')).rejects.toThrow(code('already_exists'))
      expect(await registry.verifyToken(made.token)).toBeDefined()
      expect((await registry.claimKeys.list()).map(({ uses }) => uses).toSorted()).toEqual([0, 1])
    })

    it('never take over a device that was made otherwise', async () => {
      const registry = await openRegistry(await make())
      const { token } = await createDevice(registry, 'acme/pump-1')
      const { key } = await newKey(registry)
      await expect(registry.claimKeys.claim(key, 'pump-1')).rejects.toThrow(code('already_exists'))
      expect(await registry.verifyToken(token)).toBeDefined()
    })

    it('have a bounded number of uses, also of many at once', async () => {
      const registry = await openRegistry(await make())
      const { key } = await newKey(registry, { maxUses: 5 })
      const tries = Array.from({ length: 12 }, (_, index) => registry.claimKeys.claim(key, `p${index}`))
      const outcomes = await Promise.allSettled(tries)
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toEqual(code('claim_refused'))
      }
      expect((await registry.listDevices({ limit: 100 })).items).toHaveLength(5)
      expect((await registry.claimKeys.list())[0]?.uses).toBe(5)
    })

    it('end by their time, or when they are revoked; what they made stays', async () => {
      const registry = await openRegistry(await make())
      const short = await newKey(registry, { expiresMs: Date.now() + 3_000 })
      const made = await registry.claimKeys.claim(short.key, 'p1')
      const claim = (key: string) => registry.claimKeys.claim(key, 'p2')
      await vi.waitFor(async () => {
        await registry.removeDevices([{ tenant: 'acme', device: 'p2' }])
        await expect(claim(short.key)).rejects.toThrow(code('claim_refused'))
      }, PATIENCE)
      const revoked = await newKey(registry)
      await registry.claimKeys.revoke(revoked.id)
      await expect(registry.claimKeys.revoke(revoked.id)).rejects.toThrow(code('not_found'))
      await expect(claim(revoked.key)).rejects.toThrow(code('claim_refused'))
      for (const wrong of ['', 'slc_', 'slc_'.padEnd(36, 'x'), made.token, 'x'.repeat(10_000)]) {
        await expect(claim(wrong)).rejects.toThrow(code('claim_refused'))
      }
      expect(await registry.verifyToken(made.token)).toBeDefined()
    })

    it('make no device by a name that is none, and are made within bounds', async () => {
      const registry = await openRegistry(await make())
      const { key } = await newKey(registry)
      for (const bad of ['', '..', 'x'.repeat(129)]) {
        await expect(registry.claimKeys.claim(key, bad)).rejects.toThrow(code('name_invalid'))
      }
      expect((await registry.claimKeys.list())[0]?.uses).toBe(0)
      const create = (overrides: object) =>
        registry.claimKeys.create({ tenant: 'acme', maxUses: 1, expiresMs: undefined, ...overrides })
      await expect(create({ tenant: 'a b' })).rejects.toThrow(code('name_invalid'))
      await expect(create({ maxUses: 0 })).rejects.toThrow(code('bad_request'))
      await expect(create({ tags: { '': 'x' } })).rejects.toThrow(code('bad_request'))
    })
  })
}
