import { describe, expect, it } from 'vitest'
import { describeLogin } from '../../../../../services/broker/access/authenticate.ts'
import { SluiceError } from '../../../../../shared/errors.ts'
import { setUpLogins as setUp } from '../login-setup.ts'

describe('a login', () => {
  it('is a username with its secret, or a token without password', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    registry.tokens.set('slt_x', 'acme/p1')
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    expect(await login('slt_x')).toBe('acme/p1')
    expect(await login('slt_x', '')).toBe('acme/p1')
  })

  it.each([
    ['a wrong secret', 'acme/p1', 'Secret'],
    ['no secret', 'acme/p1', undefined],
    ['an empty secret', 'acme/p1', ''],
    ['a secret and something behind it', 'acme/p1', 'secret\u0000'],
    ['bytes that are no text', 'acme/p1', Uint8Array.of(0xff, 0xfe)],
    ['another case', 'Acme/p1', 'secret'],
    ['an empty username', '', 'secret'],
    ['nothing at all in it', '', undefined],
    ['a token with a password', 'slt_x', 'secret'],
    ['a token as password', 'acme/p1', 'slt_x'],
    ['a username beyond all bounds', 'a'.repeat(65_535), 'secret'],
    ['a secret beyond all bounds', 'acme/p1', 'a'.repeat(65_535)],
  ])('with %s fails, each time', async (_, username, password) => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    registry.tokens.set('slt_x', 'acme/p1')
    expect(await login(username, password)).toBe('login_failed')
    expect(await login(username, password)).toBe('login_failed')
  })

  it('that runs username and secret together differently is another one', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    expect(await login('acme/p1s', 'ecret')).toBe('login_failed')
    expect(await login('acme/p', '1secret')).toBe('login_failed')
  })

  it('cannot be checked while the registry is down, unless it was a moment ago', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    await login('acme/p1', 'secret')
    registry.failure = new Error('gone')
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    expect(await login('acme/p2', 'secret')).toBe('registry_unavailable')
    registry.failure = new SluiceError('closed', 'closed')
    expect(await login('acme/p2', 'secret')).toBe('registry_unavailable')
    registry.failure = undefined
    expect(await login('acme/p2', 'secret')).toBe('login_failed')
  })

  it('is never shown with its token', () => {
    const password = Buffer.from('x')
    expect(describeLogin({ username: 'acme/p1', password })).toBe('acme/p1')
    expect(describeLogin({ username: 'acme/p1', password: undefined })).toBe('acme/p1')
    expect(describeLogin({ username: undefined, password })).toBe('anonymous')
    for (const username of ['slt_0123456789abcdef', 'slk_0123456789abcdef', '0123456789abcdef']) {
      expect(describeLogin({ username, password: undefined })).not.toContain('789')
    }
    expect(describeLogin({ username: 'slt_0123456789abcdef', password })).not.toContain('789')
  })
})

describe('without username', () => {
  it('nobody is accepted', async () => {
    const { login } = setUp()
    expect(await login()).toBe('login_required')
    expect(await login(undefined, 'secret')).toBe('login_required')
  })

  it('clients are the named application, as soon and as long as it exists', async () => {
    const { registry, login } = setUp('lab')
    expect(await login()).toBe('login_required')
    registry.setApplication('lab', [])
    expect(await login()).toBe('lab')
    registry.removeApplication('lab')
    expect(await login()).toBe('login_required')
    expect(await login('', '')).toBe('login_failed')
    expect(await login('lab')).toBe('login_failed')
  })
})

describe('a certificate', () => {
  it('is a login without a password, of what exists', async () => {
    const { registry, present } = setUp()
    registry.addDevice('acme/p1', 'secret')
    registry.setApplication('dash', [])
    expect(await present('acme/p1')).toBe('acme/p1')
    expect(await present('acme/p1', 'acme/p1')).toBe('acme/p1')
    expect(await present('acme/p1', 'acme/p1', 'anything')).toBe('acme/p1')
    expect(await present('dash')).toBe('dash')
    expect(await present('acme/p2')).toBe('login_failed')
    expect(await present('')).toBe('login_failed')
    expect(await present('a'.repeat(65_535))).toBe('login_failed')
    registry.removeDevice('acme/p1')
    expect(await present('acme/p1')).toBe('login_failed')
  })

  it('counts for its own name only, whatever else is right', async () => {
    const { registry, login, present } = setUp()
    registry.addDevice('acme/p1', 'secret')
    registry.addDevice('acme/p2', 'secret')
    registry.tokens.set('slt_x', 'acme/p2')
    expect(await present('acme/p1', 'acme/p2', 'secret')).toBe('login_failed')
    expect(await present('acme/p1', 'slt_x')).toBe('login_failed')
    expect(await present('acme/p1', '')).toBe('login_failed')
    expect(await present('acme/p1')).toBe('acme/p1')
    // What a certificate proved is no login without it.
    expect(await login('acme/p1')).toBe('login_failed')
    expect(await login('certificate:acme/p1')).toBe('login_failed')
  })

  it('names who was refused', () => {
    expect(describeLogin({ username: undefined, password: undefined, certificateName: 'acme/p9' })).toBe('acme/p9')
  })
})

it('stops listening to the registry when it is closed', () => {
  const { registry, authenticator } = setUp()
  expect(registry.listeners).toBe(1)
  authenticator.close()
  expect(registry.listeners).toBe(0)
})
