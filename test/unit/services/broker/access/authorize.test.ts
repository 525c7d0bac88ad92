import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createAuthorizer, type Authorizer } from '../../../../../services/broker/access/authorize.ts'
import { createLogger } from '../../../../../shared/process/logger.ts'
import { createMetrics } from '../../../../../shared/process/metrics.ts'
import type { AclRule, Principal } from '../../../../../shared/registry/port.ts'
import { LoginRegistry } from '../login-registry.ts'

const publish = (effect: AclRule['effect'], topic: string): AclRule => ({ effect, action: 'publish', topic })
const device: Principal = { kind: 'device', name: 'acme/p1', tenant: 'acme', device: 'p1', uid: 'p1' }
const application = (...rules: AclRule[]): Principal => ({ kind: 'application', name: 'app', rules })

interface Setup {
  readonly registry: LoginRegistry
  readonly authorizer: Authorizer
  readonly revoked: string[]
  /** Lets every answer of the registry arrive. */
  settle(): Promise<void>
}

function setUp(): Setup {
  vi.useFakeTimers()
  const registry = new LoginRegistry()
  const metrics = createMetrics({ defaults: false })
  const authorizer = createAuthorizer({ registry: registry.asRegistry(), logger: createLogger('silent'), metrics })
  const revoked: string[] = []
  authorizer.onRevoked((name) => revoked.push(name))
  onTestFinished(() => {
    authorizer.close()
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })
  return { registry, authorizer, revoked, settle: async () => void (await vi.advanceTimersByTimeAsync(0)) }
}

describe('rules of a principal', () => {
  it('are those it logged in with, as long as nothing changes', async () => {
    const { registry, authorizer, settle } = setUp()
    const principal = application(publish('allow', 'a'))
    authorizer.login(principal)
    await settle()
    expect(registry.questions).toBe(0)
    expect(authorizer.canPublish(principal, 'a')).toBe(true)
    expect(authorizer.canPublish(principal, 'b')).toBe(false)
    expect(authorizer.canSubscribe(principal, 'a')).toBe(false)
    expect(authorizer.canPublish(device, 't/acme/p1/telemetry')).toBe(true)
    expect(authorizer.canSubscribe(device, 't/acme/p1/cmd/#')).toBe(true)
    expect(authorizer.canReceive(device, 't/acme/p1/notice')).toBe(true)
    expect(authorizer.explain(principal, 'publish', 'a')).toMatchObject({ allowed: true, rule: publish('allow', 'a') })
  })

  it('follow the registry while it is logged in, and move the epoch', async () => {
    const { registry, authorizer, settle } = setUp()
    const principal = application(publish('allow', 'a'))
    registry.setApplication('app', principal.kind === 'application' ? principal.rules : [], 0)
    authorizer.login(principal)
    await settle()
    const before = authorizer.epoch
    registry.setApplication('app', [publish('allow', 'b')], 0)
    registry.setApplication('app', [publish('allow', '#'), publish('deny', 'a')], 0)
    await settle()
    expect(authorizer.canPublish(principal, 'a')).toBe(false)
    expect(authorizer.canPublish(principal, 'b')).toBe(true)
    expect(authorizer.epoch).toBeGreaterThan(before)
  })

  it('of nobody who is logged in cost no question', async () => {
    const { registry, authorizer, settle } = setUp()
    const leave = authorizer.login(device)
    leave()
    leave()
    registry.addDevice('acme/p1', 's')
    registry.setApplication('app', [])
    await settle()
    expect(registry.questions).toBe(0)
    expect(authorizer.epoch).toBe(0)
  })

  it('are read again while the registry does not answer', async () => {
    const { registry, authorizer, settle } = setUp()
    const principal = application(publish('allow', 'a'))
    authorizer.login(principal)
    registry.failure = new Error('down')
    registry.setApplication('app', [], 0)
    await settle()
    expect(authorizer.canPublish(principal, 'a')).toBe(true)
    await vi.advanceTimersByTimeAsync(5_000)
    registry.failure = undefined
    await vi.advanceTimersByTimeAsync(1_100)
    expect(authorizer.canPublish(principal, 'a')).toBe(false)
  })
})

describe('a principal that is removed', () => {
  it('is told once and may nothing any more, however often it is logged in', async () => {
    const { registry, authorizer, revoked, settle } = setUp()
    registry.addDevice('acme/p1', 's', 0)
    const second = { ...device }
    const leave = authorizer.login(device)
    authorizer.login(second)
    await settle()
    const before = authorizer.epoch
    registry.removeDevice('acme/p1')
    await settle()
    expect(revoked).toEqual(['acme/p1'])
    leave()
    for (const principal of [device, second]) {
      // Its will comes after the connection ended.
      expect(authorizer.canPublish(principal, 't/acme/p1/status')).toBe(false)
      expect(authorizer.canSubscribe(principal, 't/acme/p1/cmd/#')).toBe(false)
      expect(authorizer.canReceive(principal, 't/acme/p1/notice')).toBe(false)
      expect(authorizer.explain(principal, 'publish', 't/acme/p1/status').allowed).toBe(false)
    }
    expect(authorizer.epoch).toBeGreaterThan(before)
  })

  it('is told when it is an application, too', async () => {
    const { registry, authorizer, revoked, settle } = setUp()
    registry.setApplication('app', [], 0)
    authorizer.login(application())
    registry.removeApplication('app')
    await settle()
    expect(revoked).toEqual(['app'])
  })

  it('is not the one that is made anew under its name', async () => {
    const { registry, authorizer, revoked, settle } = setUp()
    vi.setSystemTime(1_000)
    registry.addDevice('acme/p1', 's')
    authorizer.login(device)
    await settle()
    vi.setSystemTime(5_000)
    // Both before the registry is asked about the first: all it knows is a device of that name.
    registry.addDevice('acme/p1', 'other')
    await settle()
    expect(revoked).toEqual(['acme/p1'])
    const anew = { ...device }
    authorizer.login(anew)
    await settle()
    expect(revoked).toHaveLength(1)
    expect(authorizer.canPublish(anew, 't/acme/p1/telemetry')).toBe(true)
    expect(authorizer.canPublish(device, 't/acme/p1/telemetry')).toBe(false)
  })

  it('is told even when that happened while its login was on its way', async () => {
    const { registry, authorizer, revoked, settle } = setUp()
    registry.addDevice('acme/p1', 's', 0)
    registry.removeDevice('acme/p1')
    authorizer.login(device)
    await settle()
    expect(revoked).toEqual(['acme/p1'])
  })

  it('stays told when a listener fails', async () => {
    const { registry, authorizer, settle } = setUp()
    authorizer.onRevoked(() => {
      throw new Error('wrong')
    })
    const heard: string[] = []
    authorizer.onRevoked((name) => heard.push(name))
    authorizer.login(device)
    registry.removeDevice('acme/p1')
    await settle()
    expect(heard).toEqual(['acme/p1'])
  })
})

it('is not heard of after closing', async () => {
  const { registry, authorizer, revoked, settle } = setUp()
  authorizer.login(device)
  registry.failure = new Error('down')
  registry.change('acme/p1')
  await settle()
  registry.failure = undefined
  registry.change('acme/p1')
  authorizer.close()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(revoked).toEqual([])
  expect(registry.listeners).toBe(0)
})

describe('a login that is', () => {
  const put = ({ registry }: Setup, login: { disabled: boolean; endedMs: number | undefined }): void => {
    registry.devices.set('acme/p1', { ...registryDevice, login })
  }
  const registryDevice = { tenant: 'acme', device: 'p1', uid: 'p1', tags: {}, createdMs: 0, lastSeenMs: undefined }

  it.each([true, false])(
    'disabled is told, though it may be enabled again before anybody looks: %s',
    async (disabled) => {
      const setup = setUp()
      put(setup, { disabled: false, endedMs: undefined })
      setup.authorizer.login(device)
      put(setup, { disabled, endedMs: Date.now() + 1 })
      setup.registry.change('acme/p1', true)
      await setup.settle()
      expect(setup.revoked).toEqual(['acme/p1'])
      expect(setup.authorizer.canPublish(device, 't/acme/p1/telemetry')).toBe(false)
    },
  )

  it('rotated, or was disabled before it logged in, goes on', async () => {
    const setup = setUp()
    put(setup, { disabled: false, endedMs: Date.now() - 1 })
    setup.authorizer.login(device)
    setup.registry.change('acme/p1')
    await setup.settle()
    expect(setup.revoked).toEqual([])
    expect(setup.authorizer.canPublish(device, 't/acme/p1/telemetry')).toBe(true)
  })

  it('ended while nobody is connected by it is told without a question, one that changed is not', async () => {
    const { registry, authorizer, settle } = setUp()
    const heard: [string, boolean][] = []
    authorizer.onRevoked((name, wasLoggedIn) => heard.push([name, wasLoggedIn]))
    registry.change('acme/p1', true)
    registry.change('acme/p2', false)
    await settle()
    expect(heard).toEqual([['acme/p1', false]])
    expect(registry.questions).toBe(0)
  })
})
