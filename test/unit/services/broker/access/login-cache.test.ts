import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { setUpLogins as setUp } from '../login-setup.ts'

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

  it('count on for an hour while the registry does not answer, unless they change', async () => {
    const { registry, login } = setUp()
    for (const name of ['acme/p1', 'acme/p2']) {
      registry.addDevice(name, 'secret')
      await login(name, 'secret')
    }
    registry.failure = new Error('gone')
    vi.advanceTimersByTime(3_500_000)
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    const { questions } = registry
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    expect(registry.questions).toBe(questions)
    expect(await login('acme/p1', 'other')).toBe('registry_unavailable')
    registry.removeDevice('acme/p2')
    expect(await login('acme/p2', 'secret')).toBe('registry_unavailable')
    vi.advanceTimersByTime(200_000)
    expect(await login('acme/p1', 'secret')).toBe('registry_unavailable')
    registry.failure = undefined
    expect(await login('acme/p2', 'secret')).toBe('login_failed')
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
  })

  it('connect while the registry hangs, one after half a second and the others at once; new ones wait', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    await login('acme/p1', 'secret')
    registry.hangs = true
    vi.advanceTimersByTime(31_000)
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    const { questions } = registry
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    expect(registry.questions).toBe(questions)
    const unknown = login('acme/p1', 'other')
    expect(await Promise.race([unknown, delay(1_000, 'waits')])).toBe('waits')
  })

  it('that are refused by a registry that is back are forgotten', async () => {
    const { registry, login } = setUp()
    registry.addDevice('acme/p1', 'secret')
    await login('acme/p1', 'secret')
    // It ended by its time: nothing tells.
    registry.secrets.delete('acme/p1')
    vi.advanceTimersByTime(31_000)
    expect(await login('acme/p1', 'secret')).toBe('login_failed')
    registry.failure = new Error('gone')
    vi.advanceTimersByTime(31_000)
    expect(await login('acme/p1', 'secret')).toBe('registry_unavailable')
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
  it('go on costing nothing while others change, and count at once when theirs does', async () => {
    const { registry, login } = setUp()
    await login('acme/p1', 'wrong')
    await login('slt_x')
    registry.questions = 0
    registry.addDevice('acme/p2', 'secret')
    expect(await login('acme/p1', 'wrong')).toBe('login_failed')
    expect(registry.questions).toBe(0)
    registry.tokens.set('slt_x', 'acme/p2')
    registry.change('acme/p2')
    expect(await login('slt_x')).toBe('acme/p2')
    registry.addDevice('acme/p1', 'wrong')
    expect(await login('acme/p1', 'wrong')).toBe('acme/p1')
  })

  it('are asked for again when the login came while it was asked for', async () => {
    const { registry, login } = setUp()
    registry.beforeAnswer = async () => {
      registry.beforeAnswer = async () => {}
      registry.addDevice('acme/p1', 'secret')
    }
    expect(await login('acme/p1', 'secret')).toBe('login_failed')
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
  })

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

  it('beyond the limit are answered late, while others are served', async () => {
    const { registry, login } = setUp(undefined, 60_000)
    registry.addDevice('acme/p1', 'secret')
    for (let index = 0; index < 30; index += 1) await login('acme/p1', `guess-${index}`)
    let isAnswered = false
    void login('acme/p1', 'guess').then(() => (isAnswered = true))
    expect(await login('acme/p1', 'secret', '192.0.2.2')).toBe('acme/p1')
    expect(await login('acme/p1', 'secret')).toBe('acme/p1')
    expect(isAnswered).toBe(false)
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
