import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Waiter } from '../../../../../services/broker/telemetry/batch.ts'
import { Forwarder } from '../../../../../services/broker/telemetry/forwarder.ts'
import { SluiceError } from '../../../../../shared/errors.ts'
import { RecordsTooLarge } from '../../../../../shared/log/port.ts'
import type { LogRecord } from '../../../../../shared/telemetry.ts'
import { FakeLog, quiet } from '../../../../broker-harness.ts'

const record = (n: number): LogRecord => ({
  key: 'a/1',
  value: Buffer.from(String(n)),
  ms: n,
  ns: 0,
  headers: undefined,
})
const numbers = (records: readonly LogRecord[]): number[] => records.map(({ ms }) => ms)

function forwarderOver(log: FakeLog): Forwarder {
  const forwarder = new Forwarder({ log: log.asPort(), logger: quiet, observers: [] })
  onTestFinished(() => forwarder.close())
  return forwarder
}

/** Notes what it is told. */
class Notes implements Waiter {
  readonly told: string[] = []
  durable(): void {
    this.told.push('durable')
  }
  refused(): void {
    this.told.push('refused')
  }
  settled(): void {
    if (this.told.at(-1) !== 'settled') this.told.push('settled')
  }
}

describe('Forwarder', () => {
  it('appends in order, one append at a time, and tells nobody before', async () => {
    const turns = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 10 })
    await fc.assert(
      fc.asyncProperty(turns, fc.array(fc.nat({ max: 3 }), { minLength: 1 }), async (sizes, delays) => {
        const log = new FakeLog()
        let running = 0
        log.before = async () => {
          running += 1
          expect(running).toBe(1)
          for (let turn = delays[log.appends % delays.length] ?? 0; turn > 0; turn -= 1) {
            await new Promise((resolve) => setImmediate(resolve))
          }
          running -= 1
        }
        const forwarder = forwarderOver(log)
        let next = 0
        const durable: number[] = []
        for (const size of sizes) {
          for (let index = 0; index < size; index += 1) {
            const number = next++
            const told = (): void => {
              durable.push(number)
              expect(numbers(log.records)).toContain(number)
            }
            forwarder.enqueue(record(number), 't', { durable: told, refused: told, settled: () => undefined })
          }
          await new Promise((resolve) => setImmediate(resolve))
        }
        expect(await forwarder.drain(10_000)).toBe(true)
        const all = Array.from({ length: next }, (_, index) => index)
        expect(numbers(log.records)).toEqual(all)
        expect(durable).toEqual(all)
        expect([forwarder.records, forwarder.bytes]).toEqual([0, 0])
      }),
      { numRuns: 50 },
    )
  })

  it('appends what comes in one turn of the event loop together, and what comes during an append in the next', async () => {
    const log = new FakeLog()
    const batches: number[] = []
    const forwarder = new Forwarder({
      log: log.asPort(),
      logger: quiet,
      observers: [({ records }) => batches.push(records.length)],
    })
    log.stall()
    for (let n = 0; n < 10; n += 1) forwarder.enqueue(record(n), 't', undefined)
    await new Promise((resolve) => setImmediate(resolve))
    for (let n = 10; n < 9_000; n += 1) forwarder.enqueue(record(n), 't', undefined)
    log.resume()
    await forwarder.drain(10_000)
    expect(batches).toEqual([10, 4_000, 4_000, 990])
  })

  it('waits behind a slow append for those it told, but not longer than a quarter of it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    const log = new FakeLog()
    log.before = () => new Promise((resolve) => setTimeout(resolve, 12))
    const batches: number[] = []
    const forwarder = new Forwarder({
      log: log.asPort(),
      logger: quiet,
      observers: [({ records }) => batches.push(records.length)],
    })
    onTestFinished(() => forwarder.close())
    const send = async (count: number) => {
      for (let n = 0; n < count; n += 1) forwarder.enqueue(record(n), 't', undefined)
      await turn()
    }
    const append = async () => {
      await vi.advanceTimersByTimeAsync(12)
      await turn()
    }
    await send(10)
    await append()
    // One after the other, as they come from sockets: the last of ten ends the wait.
    for (let n = 0; n < 10; n += 1) await send(1)
    await append()
    // Only four come back, the rest of the wait is 3 ms.
    await send(4)
    expect([log.appends, batches]).toEqual([2, [10, 10]])
    await vi.advanceTimersByTimeAsync(3)
    await append()
    // Behind few there is no wait.
    await send(1)
    expect(log.appends).toBe(4)
    await append()
    expect(batches).toEqual([10, 10, 4, 1])
  })

  it('repeats a failed append with the same records, before any newer one, for as long as it takes', async () => {
    const log = new FakeLog()
    const failures = ['log_unavailable', 'disk_full', 'log_full', 'internal'] as const
    log.before = () => {
      const code = failures[log.appends - 1]
      return code === undefined ? undefined : Promise.reject(new SluiceError(code, 'no'))
    }
    const forwarder = forwarderOver(log)
    const first = new Notes()
    const second = new Notes()
    forwarder.enqueue(record(1), 't', first)
    await new Promise((resolve) => setImmediate(resolve))
    forwarder.enqueue(record(2), 't', second)
    expect(forwarder.failingSince).toBeDefined()
    expect(await forwarder.drain(10_000)).toBe(true)
    expect(numbers(log.records)).toEqual([1, 2])
    expect([first.told, second.told]).toEqual([
      ['durable', 'settled'],
      ['durable', 'settled'],
    ])
    expect(forwarder.failingSince).toBeUndefined()
  })

  it('tells apart what the log will never take: the rest is durable, and what comes later is not kept waiting', async () => {
    const log = new FakeLog()
    log.before = () => {
      const tooLarge = log.appends === 1 ? new Set(sent.slice(1, 2)) : new Set<LogRecord>()
      return tooLarge.size === 0 ? undefined : Promise.reject(new RecordsTooLarge(tooLarge, 'too large'))
    }
    const copied: number[][] = []
    const refused: unknown[] = []
    const forwarder = new Forwarder({
      ...{ log: log.asPort(), logger: quiet },
      observers: [({ records, topics }) => copied.push(numbers(records), topics.map(Number))],
      onTooLarge: ({ ms }, topic, detail) => refused.push([ms, topic, detail]),
    })
    onTestFinished(() => forwarder.close())
    const sent = [0, 1, 2].map(record)
    const waiters = sent.map(() => new Notes())
    for (const [i, one] of sent.entries()) forwarder.enqueue(one, String(i), waiters[i])
    await new Promise((resolve) => setImmediate(resolve))
    const later = new Notes()
    forwarder.enqueue(record(3), '3', later)
    expect(await forwarder.drain(10_000)).toBe(true)
    expect(waiters.map(({ told }) => told[0])).toEqual(['durable', 'refused', 'durable'])
    expect(later.told).toEqual(['durable', 'settled'])
    expect(refused).toEqual([[1, '1', 'too large']])
    expect(copied).toEqual([[0, 2], [0, 2], [3], [3]])
    expect([forwarder.records, forwarder.bytes, forwarder.failingSince]).toEqual([0, 0, undefined])
  })

  it('settles a waiter once per batch, behind all of its records', async () => {
    const log = new FakeLog()
    const forwarder = forwarderOver(log)
    const waiter = new Notes()
    for (let n = 0; n < 3; n += 1) forwarder.enqueue(record(n), 't', waiter)
    await forwarder.drain(10_000)
    expect(waiter.told).toEqual(['durable', 'durable', 'durable', 'settled'])
  })

  it('tells nobody about what was not durable when it was closed', async () => {
    const log = new FakeLog()
    log.before = () => Promise.reject(new SluiceError('log_unavailable', 'no'))
    const forwarder = forwarderOver(log)
    const waiter = new Notes()
    forwarder.enqueue(record(1), 't', waiter)
    const promised = forwarder.append(record(2), 't')
    expect(await forwarder.drain(50)).toBe(false)
    forwarder.close()
    expect(await promised).toBe(false)
    expect(await forwarder.append(record(3), 't')).toBe(false)
    expect(waiter.told).toEqual([])
    expect(log.records).toEqual([])
  })

  it('does not wait for room on a full disk when it is drained, and goes on when there is room', async () => {
    const log = new FakeLog()
    let isFull = true
    log.before = () => {
      if (isFull) throw new SluiceError('disk_full', 'nothing is free')
      return undefined
    }
    const forwarder = forwarderOver(log)
    const durable = forwarder.append(record(1), 't')
    await vi.waitUntil(() => forwarder.failingWith === 'disk_full')
    // Without an end of its own this waits for the time limit of the test.
    expect(await forwarder.drain(3_600_000)).toBe(false)
    isFull = false
    expect(await durable).toBe(true)
    expect(forwarder.failingWith).toBeUndefined()
  })
})
