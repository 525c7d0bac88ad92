import { mkdirSync, readdirSync, readFileSync, statSync, chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  credentialHashes,
  isSameHash,
  loadCredentialKey,
  newApiKey,
  newSecret,
  newToken,
  parseCredentialKey,
} from '../../../../shared/registry/credentials.ts'
import { tempFolder } from '../../../helpers.ts'

const code = (value: string) => expect.objectContaining({ code: value }) as Error

describe('secrets', () => {
  it('have 128 bits and more, and no character that a shell or URL treats specially', () => {
    for (let index = 0; index < 2000; index += 1) {
      expect(newSecret()).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{23}$/)
      expect(newToken()).toMatch(/^slt_[A-Za-z0-9_-]{32}$/)
      expect(newApiKey()).toMatch(/^slk_[A-Za-z0-9_-]{32}$/)
    }
  })
})

describe('hashes', () => {
  const one = credentialHashes(Buffer.alloc(32, 1))
  const other = credentialHashes(Buffer.alloc(32, 2))

  it('differ by key, by kind and by username', () => {
    const name = fc.stringMatching(/^[a-z/]{1,12}$/)
    fc.assert(
      fc.property(name, name, name, (username, another, secret) => {
        const hash = one.secret(username, secret)
        expect(hash).toMatch(/^[A-Za-z0-9_-]{43}$/)
        expect(one.secret(username, secret)).toBe(hash)
        expect([other.secret(username, secret), one.token(secret), one.apiKey(secret)]).not.toContain(hash)
        if (another !== username) expect(one.secret(another, secret)).not.toBe(hash)
      }),
    )
    expect(one.token('a')).not.toBe(one.apiKey('a'))
    expect(one.keyId).not.toBe(other.keyId)
    expect(one.keyId).toMatch(/^[A-Za-z0-9_-]{16}$/)
  })

  it('are compared whole', () => {
    expect(isSameHash('abc', 'abc')).toBe(true)
    for (const wrong of ['', 'ab', 'abcd', 'abd', 'ABC']) expect(isSameHash('abc', wrong)).toBe(false)
  })

  it('need a key of 32 bytes', () => {
    expect(() => credentialHashes(Buffer.alloc(16))).toThrow(code('setting_invalid'))
  })
})

describe('the credential key', () => {
  it('is made once, readable by its owner only, and the same ever after', () => {
    const file = join(tempFolder(), 'new', 'credential-key')
    const key = loadCredentialKey(file)
    expect(key).toHaveLength(32)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(loadCredentialKey(file)).toEqual(key)
    expect(readdirSync(join(file, '..'))).toEqual(['credential-key'])
    expect(parseCredentialKey(readFileSync(file, 'utf8'), 'x')).toEqual(key)
    expect(loadCredentialKey(join(tempFolder(), 'credential-key'))).not.toEqual(key)
  })

  it('that others could read is closed to them', () => {
    const file = join(tempFolder(), 'credential-key')
    loadCredentialKey(file)
    chmodSync(file, 0o644)
    loadCredentialKey(file)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('is never replaced when the file holds something else', () => {
    const file = join(tempFolder(), 'credential-key')
    for (const content of ['', 'hello', 'A'.repeat(42), `${'A'.repeat(43)}\n${'A'.repeat(43)}`, '!'.repeat(43)]) {
      writeFileSync(file, content)
      expect(() => loadCredentialKey(file)).toThrow(code('setting_invalid'))
      expect(() => loadCredentialKey(file)).toThrow(file)
      expect(readFileSync(file, 'utf8')).toBe(content)
    }
  })

  it('that cannot be read or made is told by its path', () => {
    const folder = tempFolder()
    mkdirSync(join(folder, 'credential-key'))
    writeFileSync(join(folder, 'file'), '')
    expect(() => loadCredentialKey(join(folder, 'credential-key'))).toThrow(code('data_unwritable'))
    expect(() => loadCredentialKey(join(folder, 'file', 'credential-key'))).toThrow(code('data_unwritable'))
  })

  it.each(['base64url', 'base64'] as const)('is read from %s', (encoding) => {
    const key = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index))
    expect(parseCredentialKey(` ${key.toString(encoding)}\n`, 'CREDENTIAL_KEY')).toEqual(key)
    expect(() => parseCredentialKey('short', 'CREDENTIAL_KEY')).toThrow('CREDENTIAL_KEY')
  })
})
