import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createRefusals, type Refusals } from '../../../../../services/broker/telemetry/refusals.ts'
import { recordToDeadLetter, type DeadLetter } from '../../../../../shared/dead-letter.ts'
import { SluiceError } from '../../../../../shared/errors.ts'
import type { LogTopic, TelemetryLog } from '../../../../../shared/log/port.ts'
import { createLogger } from '../../../../../shared/process/logger.ts'
import { createMetrics, type Metrics } from '../../../../../shared/process/metrics.ts'
import type { LogRecord } from '../../../../../shared/telemetry.ts'

interface Append {
  readonly records: readonly LogRecord[]
  resolve(): void
  reject(error: Error): void
}

interface Setup {
  readonly refusals: Refusals
  readonly metrics: Metrics
  /** Appends in the order they were asked for; none is answered by itself unless `answering`. */
  readonly appends: Append[]
  answering: boolean
  settle(): Promise<void>
}

function setUp(ratePerSecond = 10, burst = 100): Setup {
  vi.useFakeTimers()
  const appends: Append[] = []
  const log: Partial<TelemetryLog> = {
    append(topic: LogTopic, records: readonly LogRecord[]) {
      expect(topic).toBe('telemetry.dead-letter')
      const answer = Promise.withResolvers<ReadonlyMap<number, number>>()
      appends.push({ records, resolve: () => answer.resolve(new Map()), reject: answer.reject })
      if (setup.answering) answer.resolve(new Map())
      return answer.promise
    },
  }
  const metrics = createMetrics({ defaults: false })
  const logger = createLogger('silent')
  // Only append is used.
  const refusals = createRefusals({ log: log as TelemetryLog, ratePerSecond, burst, logger, metrics })
  const settle = async (): Promise<void> => void (await vi.advanceTimersByTimeAsync(0))
  const setup: Setup = { refusals, metrics, appends, answering: true, settle }
  onTestFinished(async () => {
    setup.answering = true
    for (const append of appends) append.resolve()
    await refusals.close()
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })
  return setup
}

function letter(who: string, overrides: Partial<DeadLetter> = {}): DeadLetter {
  return {
    stage: 'publish',
    code: 'not_authorised',
    detail: 'd',
    who,
    topic: 't/a/b/x',
    key: who,
    payload: new Uint8Array(),
    ms: 1,
    ns: 0,
    source: undefined,
    firstFailedMs: 1,
    attempts: 1,
    ...overrides,
  }
}

/** Lets the pause between two appends pass. */
const pause = async (times = 1): Promise<void> => void (await vi.advanceTimersByTimeAsync(500 * times))

const whoIn = (appends: readonly Append[]): string[] =>
  appends.flatMap(({ records }) => records.map((record) => recordToDeadLetter(record)?.who ?? '?'))

async function value(metrics: Metrics, name: string, labels: Record<string, string> = {}): Promise<number> {
  const { values = [] } = (await metrics.getSingleMetric(name)?.get()) ?? {}
  const found = values.filter((one) => Object.entries(labels).every(([label, wanted]) => one.labels[label] === wanted))
  return found.reduce((sum, one) => sum + one.value, 0)
}

describe('refusals', () => {
  it('of logins are kept once a minute for each name and code, however often they come', async () => {
    const { refusals, metrics, appends } = setUp(10, 5)
    const failed = (who: string, code: DeadLetter['code'] = 'login_failed') => letter(who, { stage: 'connect', code })
    for (let time = 0; time < 50; time += 1) refusals.record(failed('a/1'))
    refusals.record(failed('a/2'))
    refusals.record(failed('a/1', 'login_required'))
    await pause()
    expect(whoIn(appends).toSorted()).toEqual(['a/1', 'a/1', 'a/2'])
    expect(await value(metrics, 'sluice_broker_refusals_not_kept_total', { reason: 'repeat' })).toBe(49)
    await vi.advanceTimersByTimeAsync(60_000)
    refusals.record(failed('a/1'))
    expect(whoIn(appends)).toHaveLength(4)
  })

  it('go to the dead letters as they are, in order', async () => {
    const { refusals, appends } = setUp()
    const first = letter('a/b', { payload: Buffer.from('{"x":1}'), code: 'topic_invalid', detail: 'why' })
    refusals.record(first)
    refusals.record(letter('anonymous', { stage: 'connect', topic: undefined, code: 'login_failed' }))
    await pause()
    const kept = appends.flatMap(({ records }) => records).map(recordToDeadLetter)
    expect(kept[0]).toMatchObject({ ...first, payload: new Uint8Array(first.payload) })
    expect(kept[1]).toMatchObject({ stage: 'connect', topic: undefined, code: 'login_failed' })
  })

  it('are copied and cut, for the buffer they come from is used again', async () => {
    const { refusals, appends, settle } = setUp()
    const buffer = Buffer.alloc(10_000, 'x')
    refusals.record(letter('a/b', { payload: buffer, topic: 'y'.repeat(60_000), who: 'z\ud800'.repeat(10_000) }))
    buffer.fill('!')
    await settle()
    const [record] = appends.flatMap(({ records }) => records)
    expect(Buffer.from(record?.value ?? []).toString()).toBe('x'.repeat(4096))
    expect(record?.value.buffer.byteLength).toBe(4096)
    expect(record?.headers?.['topic']).toHaveLength(512)
    expect(record?.headers?.['who']?.length).toBeLessThanOrEqual(512)
    expect(record?.headers?.['who']?.isWellFormed()).toBe(true)
  })

  it('are all counted, and kept at the rate', async () => {
    const { refusals, metrics, appends } = setUp(10, 5)
    for (let index = 0; index < 100; index += 1) refusals.record(letter(`a/${index}`))
    await vi.advanceTimersByTimeAsync(250)
    for (let index = 0; index < 100; index += 1) refusals.record(letter('later', { code: 'topic_invalid' }))
    await pause()
    expect(whoIn(appends)).toEqual(['a/0', 'a/1', 'a/2', 'a/3', 'a/4', 'later', 'later'])
    expect(await value(metrics, 'sluice_broker_refused_total', { code: 'not_authorised' })).toBe(100)
    expect(await value(metrics, 'sluice_broker_refused_total', { code: 'topic_invalid' })).toBe(100)
    expect(await value(metrics, 'sluice_broker_refused_total')).toBe(200)
    expect(await value(metrics, 'sluice_broker_refusals_not_kept_total', { reason: 'rate' })).toBe(193)
  })

  it('wait for the append in flight and a pause, and then go together', async () => {
    const setup = setUp(1000, 1000)
    setup.answering = false
    for (let index = 0; index < 70; index += 1) setup.refusals.record(letter(`a/${index}`))
    await setup.settle()
    expect(setup.appends.map(({ records }) => records.length)).toEqual([1])
    setup.appends[0]?.resolve()
    await vi.advanceTimersByTimeAsync(499)
    expect(setup.appends).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(setup.appends.map(({ records }) => records.length)).toEqual([1, 64])
    setup.appends[1]?.resolve()
    await pause()
    expect(whoIn(setup.appends)).toEqual(Array.from({ length: 70 }, (_, index) => `a/${index}`))
  })

  it('are tried again in their order when the log is down, within the bound of the queue', async () => {
    const setup = setUp(10_000, 10_000)
    setup.answering = false
    for (let index = 0; index < 400; index += 1) setup.refusals.record(letter(`a/${index}`))
    expect(await value(setup.metrics, 'sluice_broker_refusals_not_kept_total', { reason: 'queue_full' })).toBe(143)
    setup.appends[0]?.reject(new SluiceError('log_unavailable', 'down'))
    await setup.settle()
    expect(setup.appends).toHaveLength(1)
    setup.answering = true
    await pause(6)
    expect(whoIn(setup.appends.slice(1))).toEqual(Array.from({ length: 257 }, (_, index) => `a/${index}`))
  })

  it('that the log will never take are given up, the next ones not', async () => {
    const setup = setUp()
    setup.answering = false
    setup.refusals.record(letter('a'))
    setup.appends[0]?.reject(new SluiceError('log_corrupt', 'broken'))
    await setup.settle()
    setup.refusals.record(letter('b'))
    await pause()
    expect(whoIn(setup.appends)).toEqual(['a', 'b'])
    expect(await value(setup.metrics, 'sluice_broker_refusals_not_kept_total', { reason: 'log_failed' })).toBe(1)
  })
})

describe('closing', () => {
  it('writes what waits', async () => {
    const setup = setUp()
    setup.answering = false
    for (const who of ['a', 'b', 'c']) setup.refusals.record(letter(who))
    const closed = setup.refusals.close()
    setup.answering = true
    setup.appends[0]?.resolve()
    await closed
    expect(whoIn(setup.appends)).toEqual(['a', 'b', 'c'])
    setup.refusals.record(letter('late'))
    await setup.settle()
    expect(whoIn(setup.appends)).toHaveLength(3)
  })

  it('ends within its bound when the log does not answer', async () => {
    const setup = setUp()
    setup.answering = false
    setup.refusals.record(letter('a'))
    setup.refusals.record(letter('b'))
    const closed = setup.refusals.close()
    await vi.advanceTimersByTimeAsync(1_000)
    await closed
    expect(await value(setup.metrics, 'sluice_broker_refusals_not_kept_total', { reason: 'log_failed' })).toBe(1)
  })

  it('tries nothing twice', async () => {
    const setup = setUp()
    setup.answering = false
    setup.refusals.record(letter('a'))
    const closed = setup.refusals.close()
    setup.appends[0]?.reject(new SluiceError('log_unavailable', 'down'))
    await closed
    expect(setup.appends).toHaveLength(1)
  })
})
