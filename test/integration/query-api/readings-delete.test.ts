import { describe, expect, it, vi } from 'vitest'
import { overriding } from '../../../load-tests/reference/overriding.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import { TombstoneView } from '../../../shared/registry/tombstones-port.ts'
import { PATIENCE } from '../../patience.ts'
import type { Answer } from './api.ts'
import { openReal } from './real-api.ts'

type Real = Awaited<ReturnType<typeof openReal>>

// Of the past, so that a span without an end has them all.
const T = Date.now() - 3_600_000
const iso = (ms: number) => new Date(ms).toISOString()

async function make(real: Real, ...devices: string[]): Promise<void> {
  for (const device of devices) await real.call('POST', '/v1/devices', { payload: { tenant: 'demo', device } })
}

/** Readings a second apart, `values` and `word` by turns. */
async function send(real: Real, device: string, values: readonly number[], stream = 'telemetry'): Promise<void> {
  const payload = JSON.stringify(values.map((v) => ({ ts: T + v * 1000, v, word: `w${v}` })))
  const posted = await real.call('POST', `/v1/devices/demo/${device}/readings?stream=${stream}`, { payload })
  expect(posted.body).toMatchObject({ accepted: values.length })
}

async function stored(real: Real, device: string, stream = 'telemetry'): Promise<number[]> {
  const { body } = await real.call('GET', `/v1/devices/demo/${device}/readings?stream=${stream}&field=v`)
  return (body['series'] as { points: [number, number][] }[]).flatMap(({ points }) => points.map(([, v]) => v))
}

async function settled({ log }: Real): Promise<void> {
  await vi.waitFor(async () => {
    const lag = await log.lag('telemetry.raw', 'ingest-worker')
    expect(lag.map(({ records }) => records)).toEqual(lag.map(() => 0))
  }, PATIENCE)
}

async function remove(real: Real, device: string, payload: object): Promise<Answer> {
  return real.call('POST', `/v1/devices/demo/${device}/readings/delete`, { payload })
}

function idOf(body: Answer['body']): number {
  const { id } = body['job'] as { id: number }
  return id
}

async function ended(real: Real, { body }: Answer): Promise<Record<string, unknown>> {
  const id = idOf(body)
  return vi.waitFor(async () => {
    const job = (await real.call('GET', `/v1/jobs/${id}`)).body
    expect(job['endedAt']).toEqual(expect.any(String))
    return job
  }, PATIENCE)
}

async function latest(real: Real, device: string): Promise<unknown> {
  const { body } = await real.call('GET', `/v1/devices/demo/${device}/latest`)
  const streams = body['streams'] as { stream: string; fields: Record<string, { value: unknown }> }[]
  return Object.fromEntries(
    streams.map(({ stream, fields }) => [
      stream,
      Object.fromEntries(Object.entries(fields).map(([f, { value }]) => [f, value])),
    ]),
  )
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

/** What is in the log when it is deleted is not stored; what comes later is. */
async function checkUnread(): Promise<void> {
  const real = await openReal(undefined, { isIdle: true })
  await make(real, 'a', 'b')
  await send(real, 'a', numbers(0, 10))
  await send(real, 'b', numbers(0, 10))
  const deleting = await remove(real, 'a', { from: iso(T + 3000), to: iso(T + 7000) })
  const id = idOf(deleting.body)
  await vi.waitFor(async () => {
    expect((await real.call('GET', `/v1/jobs/${id}`)).body['progress']).toContain('Waiting for the workers')
  }, PATIENCE)
  await real.startWorker()
  expect(await ended(real, deleting)).toMatchObject({ state: 'done' })
  await settled(real)
  expect(await stored(real, 'a')).toEqual([0, 1, 2, 7, 8, 9])
  expect(await stored(real, 'b')).toEqual(numbers(0, 10))
  await send(real, 'a', [4])
  await settled(real)
  expect(await stored(real, 'a')).toEqual([0, 1, 2, 4, 7, 8, 9])
}

/** A log that is read from the beginning again. */
async function checkReadAgain(through?: (registry: Registry) => Registry): Promise<void> {
  const real = await openReal(through)
  await make(real, 'a')
  await send(real, 'a', numbers(0, 5))
  await settled(real)
  await ended(real, await remove(real, 'a', { from: iso(T + 1000), to: iso(T + 4000) }))
  const partition = real.log.partitionOf('demo/a')
  const signal = new AbortController().signal
  const from = { offset: 0 }
  const again = []
  for await (const batch of real.log.read({
    topic: 'telemetry.raw',
    partition,
    from,
    maxRecords: 10,
    follow: false,
    signal,
  }))
    again.push(...batch.records)
  await real.log.append('telemetry.raw', again)
  await settled(real)
  expect(await stored(real, 'a')).toEqual([0, 4])
}

const deaf = (registry: Registry): Registry => {
  const tombstones = overriding(registry.tombstones, { current: async () => new TombstoneView() })
  return overriding(registry, { tombstones })
}

describe('deleting readings', () => {
  it('takes the span of a stream, and nothing else; latest shows what is left', async () => {
    const real = await openReal()
    await make(real, 'a', 'b')
    await send(real, 'a', numbers(0, 10))
    await send(real, 'a', numbers(0, 10), 'power')
    await send(real, 'b', numbers(0, 10))
    await settled(real)
    const span = { stream: 'telemetry', from: iso(T + 2000), to: iso(T + 20_000) }
    const dry = await remove(real, 'a', { ...span, dryRun: true })
    const counted = {
      fields: [
        { stream: 'telemetry', field: 'v', points: 8 },
        { stream: 'telemetry', field: 'word', points: 8 },
      ],
      points: 16,
      from: iso(T + 2000),
    }
    expect(dry).toMatchObject({ status: 200, body: { ...counted, job: null } })
    expect(await stored(real, 'a')).toEqual(numbers(0, 10))
    const deleting = await remove(real, 'a', span)
    expect(deleting).toMatchObject({
      status: 202,
      body: { ...counted, job: { kind: 'readings delete', who: 'admin' } },
    })
    expect(await ended(real, deleting)).toMatchObject({ state: 'done' })
    expect(await stored(real, 'a')).toEqual([0, 1])
    expect(await stored(real, 'a', 'power')).toEqual(numbers(0, 10))
    expect(await stored(real, 'b')).toEqual(numbers(0, 10))
    expect(await latest(real, 'a')).toEqual({ power: { v: 9, word: 'w9' }, telemetry: {} })
    await send(real, 'a', [5, 3])
    await settled(real)
    await vi.waitFor(async () => {
      expect(await latest(real, 'a')).toMatchObject({ telemetry: { v: 5, word: 'w5' } })
    }, PATIENCE)
    expect(await stored(real, 'a')).toEqual([0, 1, 3, 5])
    const { body } = await real.call('GET', '/v1/audit')
    expect(body['entries']).toContainEqual(
      expect.objectContaining({ action: 'readings delete', subject: 'demo/a', who: 'admin' }),
    )
    expect((await real.call('GET', '/v1/jobs')).body['jobs']).toHaveLength(1)
  })

  it('takes what is not read from the log yet, and keeps what is received afterwards', () => checkUnread())

  it('lasts when the log is read again', () => checkReadAgain())

  it('is found missing where a worker does not know what was deleted', async () => {
    await expect(checkReadAgain(deaf)).rejects.toThrow('to deeply equal')
  })

  it('ends when it is cancelled, and goes on after a stop', async () => {
    const first = await openReal(undefined, { isIdle: true })
    await make(first, 'a')
    await send(first, 'a', numbers(0, 4))
    const deleting = await remove(first, 'a', { from: iso(T + 1000), to: iso(T + 2000) })
    const id = idOf(deleting.body)
    await vi.waitFor(async () => {
      expect((await first.call('GET', `/v1/jobs/${id}`)).body).toMatchObject({ state: 'running' })
    }, PATIENCE)
    const waiting = await remove(first, 'a', { from: iso(T + 2000), to: iso(T + 3000) })
    const second = idOf(waiting.body)
    expect((await first.call('POST', `/v1/jobs/${second}/cancel`)).body).toMatchObject({ state: 'cancelled' })
    expect((await first.call('POST', '/v1/jobs/99/cancel')).status).toBe(404)
    const third = await remove(first, 'a', { from: iso(T + 3000) })
    await first.close()

    const real = await openReal(undefined, { folder: first.folder })
    expect(await ended(real, deleting)).toMatchObject({ state: 'done' })
    expect(await ended(real, third)).toMatchObject({ state: 'done' })
    await settled(real)
    expect(await stored(real, 'a')).toEqual([0, 2])
  })

  it('refuses what is no span, and devices that are none', async () => {
    const real = await openReal()
    await make(real, 'a')
    expect(await remove(real, 'a', { from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' })).toMatchObject({
      status: 400,
      body: { code: 'bad_request' },
    })
    expect(await remove(real, 'a', { stream: '' })).toMatchObject({ status: 400, body: { code: 'name_invalid' } })
    expect(await remove(real, 'none', {})).toMatchObject({ status: 404 })
  })
})
