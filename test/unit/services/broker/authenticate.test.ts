import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createAuthenticator, describeLogin, type Authenticator } from '../../../../services/broker/authenticate.ts'
import { SluiceError } from '../../../../shared/errors.ts'
import { createLogger } from '../../../../shared/logger.ts'
import { createMetrics } from '../../../../shared/metrics.ts'
import { LoginRegistry } from './login-registry.ts'

interface Setup {
  readonly registry: LoginRegistry
  readonly authenticator: Authenticator
  login(username?: string, password?: string | Uint8Array, remoteAddress?: string): Promise<string>
}

/** `login` resolves with the principal's name or the error's code. */
function setUp(anonymousAs?: string): Setup {
  vi.useFakeTimers({ toFake: ['performance', 'Date'] })
  const registry = new LoginRegistry()
  const metrics = createMetrics({ defaults: false })
  const options = { registry: registry.asRegistry(), logger: createLogger('silent'), metrics, anonymousAs }
  const authenticator = createAuthenticator(options)
  onTestFinished(() => {
    authenticator.close()
    vi.useRealTimers()
  })
  return {
    registry,
    authenticator,
    async login(username, password, remoteAddress = '192.0.2.1') {
      const bytes = typeof password === 'string' ? Buffer.from(password) : password
      try {
        return (await authenticator.authenticate({ username, password: bytes, remoteAddress })).name
      } catch (error) {
        if (error instanceof SluiceError) return error.code
        throw error
      }
    },
  }
}

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

describe('verified logins', () => {
  it('are kept for 30 s', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    await login('acme/p1', 'secret')
    vi.advanceTimersByTime(29_000)
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    expect(registry.questions).toBe(1)
    vi.advanceTimersByTime(2_000)
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    expect(registry.questions).toBe(2)
  })

  it('are forgotten when they change, others are not', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    registry.addDevice('acme/p2', 'secret')
    registry.tokens.set('slt_x', 'acme/p1')
    for (const [name, secret] of [['acme/p1', 'secret'], ['acme/p2', 'secret'], ['slt_x']] as const)
      await login(name, secret)
    registry.removeDevice('acme/p1')
    expect(await login('acme/p1', 'secret')).toBe('login_failed')
    expect(await login('slt_x')).toBe('login_failed')
    expect(registry.questions).toBe(5)
    expect(await login('acme/p2', 'secret')).toBe('acme/p2')
    expect(registry.questions).toBe(5)
  })

  it('are forgotten however many others change', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    await login('acme/p1', 'secret')
    registry.removeDevice('acme/p1')
    for (let index = 0; index < 10_001; index += 1) registry.change(`acme/other-${index}`)
    expect(await login('acme/p1', 'secret')).toBe('login_failed')
  })

  it('are checked again when they changed during the check', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    registry.beforeAnswer = async () => {
      registry.beforeAnswer = async () => {}
      registry.removeDevice('acme/p1')
    }
    expect(await login('acme/p1', 'secret')).toBe('login_failed')
    expect(registry.questions).toBe(2)
  })

  it('are bounded in number', async () => {
    const { registry, login } = setUp()
    for (let index = 0; index < 20_001; index += 1) {
      registry.addDevice(`acme/p${index}`, 's')
      await login(`acme/p${index}`, 's')
    }
    registry.questions = 0
    await login('acme/p20000', 's')
    expect(registry.questions).toBe(0)
    await login('acme/p0', 's')
    expect(registry.questions).toBe(1)
  })
})

describe('failed logins', () => {
  it('that repeat cost the registry nothing, until something changes', async () => {
    const { registry, login } = setUp()
    for (let index = 0; index < 50; index += 1) expect(await login('acme/p1', 'wrong')).toBe('login_failed')
    expect(registry.questions).toBe(1)
    registry.addDevice('acme/p1', 'wrong')
    expect(await login('acme/p1', 'wrong')).toBe('acme/p1')
  })

  it('of one address are limited, and the limit passes', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    registry.addDevice('acme/p2', 'secret')
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    for (let index = 0; index < 30; index += 1) expect(await login('acme/p1', `guess-${index}`)).toBe('login_failed')
    expect(await login('acme/p1', 'guess')).toBe('login_rate_limited')
    expect(await login('acme/p2', 'secret')).toBe('login_rate_limited')
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    expect(await login('acme/p2', 'secret', '192.0.2.2')).toBe('acme/p2')
    vi.advanceTimersByTime(1_100)
    expect(await login('acme/p1', 'guess')).toBe('login_failed')
    vi.advanceTimersByTime(60_000)
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
  })

  it('of a device with a wrong secret that retries for ever do not lock out its neighbours', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    for (let index = 0; index < 600; index += 1) {
      expect(await login('acme/p9', 'wrong')).toBe('login_failed')
      vi.advanceTimersByTime(1_000)
    }
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
  })

  it('from loopback are not limited', async () => {
    const { login } = setUp()
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
      for (let index = 0; index < 40; index += 1) expect(await login('a/b', `${index}`, address)).toBe('login_failed')
    }
  })

  it('from one IPv6 site count together, as those of a mapped address do', async () => {
    const { login } = setUp()
    for (let index = 0; index < 30; index += 1) await login('a/b', `${index}`, `2001:db8:0:1::${index.toString(16)}`)
    expect(await login('a/b', 'x', '2001:0DB8::1:ffff:0:0:9')).toBe('login_rate_limited')
    expect(await login('a/b', 'x', '2001:db8:0:2::1')).toBe('login_failed')
    for (let index = 0; index < 30; index += 1) await login('a/c', `${index}`, '::ffff:192.0.2.7')
    expect(await login('a/c', 'x', '192.0.2.7')).toBe('login_rate_limited')
    expect(await login('a/c', 'x', '::ffff:192.0.2.8')).toBe('login_failed')
  })
})

it('stops listening to the registry when it is closed', () => {
  const { registry, authenticator } = setUp()
  expect(registry.listeners).toBe(1)
  authenticator.close()
  expect(registry.listeners).toBe(0)
})
