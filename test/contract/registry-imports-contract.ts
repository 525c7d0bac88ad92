import { argon2Sync, pbkdf2Sync, randomBytes } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import type { ImportedPassword } from '../../shared/registry/identity-port.ts'
import { createDevice, openRegistry, type MakeRegistryHarness } from './registry-harness.ts'

const code = (value: string) => expect.objectContaining({ code: value }) as Error
const WEEK_MS = 7 * 86_400_000

function mosquitto(password: string, iterations = 101): ImportedPassword {
  const salt = randomBytes(12)
  return { kind: 'mosquitto-7', salt, iterations, hash: pbkdf2Sync(password, salt, iterations, 64, 'sha512') }
}

function argon2id(password: string, { memoryKib = 1024, iterations = 2, lanes = 1 } = {}): ImportedPassword {
  const salt = randomBytes(12)
  const parameters = { message: password, nonce: salt, memory: memoryKib, passes: iterations, parallelism: lanes, tagLength: 32 } // prettier-ignore
  return { kind: 'argon2id', salt, iterations, memoryKib, lanes, hash: argon2Sync('argon2id', parameters) }
}

export function describeImports(name: string, make: MakeRegistryHarness): void {
  describe(`${name}: imported passwords`, () => {
    it('verify as they are, by their own username, and become ours with the first login', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      await registry.createApplication('gateway', [])
      await registry.credentials.importPassword('gateway', 'alice in the Ünit', mosquitto('p4ss'))
      expect(await registry.credentials.list('gateway')).toMatchObject([{ kind: 'issued' }, { kind: 'imported' }])
      expect(await registry.verifySecret('alice in the Ünit', 'wrong')).toBeUndefined()
      expect(await registry.verifySecret('gateway', 'p4ss')).toBeUndefined()
      const both = Array.from({ length: 2 }, () => registry.verifySecret('alice in the Ünit', 'p4ss'))
      for (const principal of await Promise.all(both)) expect(principal?.name).toBe('gateway')
      expect(await registry.credentials.list('gateway')).toMatchObject([{ kind: 'issued' }, { kind: 'issued' }])
      await registry.close()
      const again = await openRegistry(harness)
      expect((await again.verifySecret('alice in the Ünit', 'p4ss'))?.name).toBe('gateway')
      expect(await again.verifySecret('alice in the Ünit', 'wrong')).toBeUndefined()
    })

    it('of argon2id, as Mosquitto 2.1 makes them, do the same', async () => {
      const harness = await make()
      const registry = await openRegistry(harness)
      for (const app of ['gateway', 'other']) await registry.createApplication(app, [])
      await registry.credentials.importPassword('gateway', 'alice', argon2id('p4ss Ü'))
      await registry.credentials.importPassword(
        'other',
        'bob',
        argon2id('p4ss Ü', { memoryKib: 47_104, iterations: 1 }),
      )
      await registry.close()
      const again = await openRegistry(harness)
      expect(await again.verifySecret('alice', 'p4ss')).toBeUndefined()
      expect((await again.verifySecret('bob', 'p4ss Ü'))?.name).toBe('other')
      expect((await again.verifySecret('alice', 'p4ss Ü'))?.name).toBe('gateway')
      expect(await again.credentials.list('gateway')).toMatchObject([{ kind: 'issued' }, { kind: 'issued' }])
      expect((await again.verifySecret('alice', 'p4ss Ü'))?.name).toBe('gateway')
      const good = argon2id('x')
      for (const bad of [
        { iterations: 0 },
        { memoryKib: 7 },
        { memoryKib: 262_144 },
        { memoryKib: 131_072, iterations: 3 },
        { lanes: 0 },
        { lanes: 17 },
        { hash: Buffer.alloc(8) },
        { salt: Buffer.alloc(4) },
      ]) {
        const password = { ...good, ...bad } as ImportedPassword
        await expect(again.credentials.importPassword('other', 'carol', password)).rejects.toThrow(code('bad_request'))
      }
    })

    it('are ended like all others: disabled, rotated, removed', async () => {
      const registry = await openRegistry(await make())
      await createDevice(registry, 'acme/p1')
      await registry.credentials.importPassword('acme/p1', 'pump', mosquitto('p4ss'))
      await registry.credentials.setDisabled('acme/p1', true)
      expect(await registry.verifySecret('pump', 'p4ss')).toBeUndefined()
      await registry.credentials.setDisabled('acme/p1', false)
      const next = await registry.credentials.rotate('acme/p1', WEEK_MS)
      expect(next.username).toBe('pump')
      expect((await registry.verifySecret('pump', 'p4ss'))?.name).toBe('acme/p1')
      expect((await registry.verifySecret('pump', next.secret))?.name).toBe('acme/p1')
      expect(await registry.verifySecret('pump', 'p4ss')).toBeUndefined()
      await registry.removeDevice('acme', 'p1')
      expect(await registry.verifySecret('pump', next.secret)).toBeUndefined()
    })

    it('are newer than the credential of a login that was made in the same millisecond', async () => {
      const registry = await openRegistry(await make())
      const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now())
      try {
        await createDevice(registry, 'acme/p1')
        await registry.credentials.importPassword('acme/p1', 'pump', mosquitto('p4ss'))
      } finally {
        clock.mockRestore()
      }
      expect((await registry.credentials.rotate('acme/p1', WEEK_MS)).username).toBe('pump')
    })

    it('keep usernames apart, and refuse what is beyond the bounds', async () => {
      const registry = await openRegistry(await make())
      for (const app of ['one', 'two']) await registry.createApplication(app, [])
      const put = (who: string, username: string, password = mosquitto('x')) =>
        registry.credentials.importPassword(who, username, password)
      await put('one', 'alice')
      await expect(put('two', 'alice')).rejects.toThrow(code('already_exists'))
      await expect(put('two', 'one')).rejects.toThrow(code('already_exists'))
      await put('two', 'Alice')
      await expect(put('three', 'bob')).rejects.toThrow(code('not_found'))
      for (const bad of ['', 'a\u0000', 'a\n', 'x'.repeat(257), '\ud800']) {
        await expect(put('one', bad)).rejects.toThrow(code('name_invalid'))
      }
      const good = mosquitto('x')
      for (const bad of [
        { iterations: 0 },
        { iterations: 1e9 },
        { salt: Buffer.alloc(0) },
        { hash: Buffer.alloc(32) },
      ]) {
        await expect(put('one', 'carol', { ...good, ...bad })).rejects.toThrow(code('bad_request'))
      }
    })
  })
}
