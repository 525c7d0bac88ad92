import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createMetrics } from '../../../../shared/process/metrics.ts'
import { createLogger } from '../../../../shared/process/logger.ts'
import { isReply, RedisAvailability } from '../../../../shared/redis/availability.ts'

const START_MS = 2_000
/** Longer than the pause after a command without an answer. */
const SECOND_MS = 1_001

const replyError = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' })
const noAnswer = (): Promise<never> => Promise.reject(new Error('Command timed out'))

/** A connection of which the test says what it does; a wrong policy is `allkeys-lru` for sessions. */
class FakeClient extends EventEmitter {
  status = 'wait'
  policy = 'noeviction'
  ping = vi.fn(async () => 'PONG')

  async connect(): Promise<void> {
    if (this.status !== 'unreachable') this.ready()
    else await new Promise(() => {})
  }

  ready(): void {
    this.status = 'ready'
    this.emit('ready')
  }

  lose(): void {
    this.status = 'close'
    this.emit('close')
  }

  async info(section: string): Promise<string> {
    return section === 'memory' ? `maxmemory_policy:${this.policy}\r\n` : 'aof_enabled:1\r\n'
  }
}

function watch({ prepare = async () => {} }: { prepare?: () => Promise<void> } = {}) {
  const [commands, listener] = [new FakeClient(), new FakeClient()]
  const logger = createLogger('silent')
  const logged: string[] = []
  for (const level of ['info', 'warn', 'error'] as const) {
    vi.spyOn(logger, level).mockImplementation((...args: unknown[]) => void logged.push(`${level}: ${String(args[1])}`))
  }
  const onUp = vi.fn()
  const clients = [commands, listener] as unknown as [Redis, Redis]
  const metrics = createMetrics({ defaults: false })
  const options = { clients, role: 'sessions', logger, metrics, startTimeoutMs: START_MS, prepare, onUp } as const
  const failed = async () => (await metrics.getSingleMetric('sluice_redis_failed_requests_total')?.get())?.values[0]
  return { availability: new RedisAvailability(options), commands, listener, logged, onUp, failed }
}

const soon = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

describe('a Redis that is there', () => {
  it('is up once all connections are ready and prepared, and says so once', async () => {
    const order: string[] = []
    const { availability, commands, onUp, logged } = watch({ prepare: async () => void order.push('prepare') })
    commands.ping.mockImplementation(async () => (order.push('ping'), 'PONG'))
    expect(availability.isUp).toBe(false)
    await availability.open()
    await availability.settle()
    expect(availability.isUp).toBe(true)
    expect(order.slice(0, 2)).toEqual(['prepare', 'ping'])
    expect(onUp).toHaveBeenCalledTimes(1)
    expect(logged).toEqual(['info: Redis answers'])
  })

  it('refuses a command without being down', async () => {
    const { availability, failed } = watch()
    await availability.open()
    const refused = replyError('OOM command not allowed')
    expect(await availability.ask(() => Promise.resolve(1))).toBe(1)
    expect(await failed()).toMatchObject({ labels: { role: 'sessions' }, value: 0 })
    await expect(availability.ask(() => Promise.reject(refused))).rejects.toBe(refused)
    expect(await failed()).toMatchObject({ value: 1 })
    expect(isReply(refused)).toBe(true)
    expect(availability.isUp).toBe(true)
  })

  it('whose login may not PING has answered, and one that loads its data has not', async () => {
    const { availability, commands } = watch()
    commands.ping.mockRejectedValue(replyError('NOPERM this user has no permissions'))
    await availability.open()
    expect(availability.isUp).toBe(true)
    commands.ping.mockRejectedValue(replyError('LOADING Redis is loading the dataset in memory'))
    await availability.settle()
    expect(availability.isUp).toBe(false)
  })
})

describe('a Redis that hangs', () => {
  it('costs one caller its timeout, and the others a second', async () => {
    const { availability, onUp } = watch()
    await availability.open()
    await expect(availability.ask(noAnswer)).rejects.toThrow('timed out')
    expect(availability.isUp).toBe(false)
    await soon(SECOND_MS)
    expect(availability.isUp).toBe(true)
    expect(onUp).toHaveBeenCalledTimes(1)
  })

  it('is asked until it answers, and needs no new connection to be up again', async () => {
    const { availability, commands, onUp, logged } = watch()
    await availability.open()
    commands.ping.mockImplementation(noAnswer)
    await availability.ask(noAnswer).catch(String)
    await soon(10 * SECOND_MS)
    expect(availability.isUp).toBe(false)
    expect(commands.ping.mock.calls.length).toBeGreaterThan(8)
    commands.ping.mockImplementation(async () => 'PONG')
    await soon(SECOND_MS)
    expect(availability.isUp).toBe(true)
    expect(onUp).toHaveBeenCalledTimes(2)
    expect(logged).toEqual(['info: Redis answers', 'warn: Redis is unreachable', 'info: Redis answers'])
  })
})

describe('a Redis that goes', () => {
  it('is down with the first connection that is lost, and up with the last one that is back', async () => {
    const { availability, commands, listener, onUp, logged } = watch()
    await availability.open()
    listener.lose()
    commands.lose()
    expect(availability.isUp).toBe(false)
    commands.ready()
    await soon(SECOND_MS)
    expect(availability.isUp).toBe(false)
    listener.ready()
    await soon()
    expect(availability.isUp).toBe(true)
    expect(onUp).toHaveBeenCalledTimes(2)
    expect(logged.filter((line) => line.startsWith('warn'))).toEqual(['warn: Redis is unreachable'])
  })

  it('while it is looked at is not up', async () => {
    const { availability, commands, listener } = watch()
    commands.ping.mockImplementation(async () => (listener.lose(), 'PONG'))
    await availability.open()
    expect(availability.isUp).toBe(false)
  })

  it('is asked nothing and reported nowhere after the close', async () => {
    const { availability, commands, logged, onUp } = watch()
    await availability.open()
    commands.lose()
    availability.close()
    commands.ready()
    await soon(10 * SECOND_MS)
    expect(availability.isUp).toBe(false)
    expect(commands.ping).toHaveBeenCalledTimes(1)
    expect(onUp).toHaveBeenCalledTimes(1)
    expect(logged).toHaveLength(2)
  })
})

it('a start without Redis ends in time, and Redis is up when it comes', async () => {
  // The limit is the signal's own, which no test's clock moves.
  vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort(new Error('too late')))
  const { availability, commands, listener, onUp } = watch()
  commands.status = listener.status = 'unreachable'
  await availability.open()
  expect(availability.isUp).toBe(false)
  commands.ready()
  listener.ready()
  await soon()
  expect(availability.isUp).toBe(true)
  expect(onUp).toHaveBeenCalledTimes(1)
  vi.restoreAllMocks()
})

describe('a Redis of the wrong policy', () => {
  it('ends the start', async () => {
    const { availability, commands, onUp } = watch()
    commands.policy = 'allkeys-lru'
    await expect(availability.open()).rejects.toMatchObject({ code: 'redis_misconfigured' })
    expect(onUp).not.toHaveBeenCalled()
  })

  it('that comes later is used, reported, and seen to be mended when it comes again', async () => {
    const { availability, commands, logged } = watch()
    await availability.open()
    expect(availability.isMisconfigured).toBe(false)
    commands.lose()
    commands.policy = 'allkeys-lru'
    commands.ready()
    await soon()
    expect([availability.isUp, availability.isMisconfigured]).toEqual([true, true])
    expect(logged).toContain('error: Redis is not configured for its role')
    commands.lose()
    commands.policy = 'noeviction'
    commands.ready()
    await soon()
    expect(availability.isMisconfigured).toBe(false)
  })
})
