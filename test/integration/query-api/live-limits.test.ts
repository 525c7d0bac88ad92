import { once } from 'node:events'
import { PATIENCE } from '../../patience.ts'
import { connect } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, it, onTestFinished, vi } from 'vitest'
import { queryApiSettings } from '../../../config/query-api.ts'
import { loadConfig } from '../../../shared/config.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { openLive, record, refusal } from './live-api.ts'

it('shows at most 500 readings in a second, the newest of each batch, and tells the rest', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const { events, log } = await openLive()
  const reader = await events()
  await log.append(
    'telemetry.raw',
    Array.from({ length: 700 }, (_, i) => record(`{"n":${i}}`)),
  )
  const shown = await reader.until(({ data }) => JSON.stringify(data['values']) === '{"n":499}')
  expect(shown).toHaveLength(500)
  await log.append('telemetry.dead-letter', [refusal(1)])
  expect((await reader.next()).event).toBe('refusal')
  vi.advanceTimersByTime(1000)
  expect(await reader.next()).toEqual({ event: 'skipped', data: { records: 200 } })
  await log.append('telemetry.raw', [record('{"n":-1}')])
  expect(await reader.next()).toMatchObject({ event: 'reading', data: { values: { n: -1 } } })
})

it('skips ahead when more comes than is read, and a comment keeps the stream open', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const { events, log } = await openLive()
  const reader = await events('?tenant=other')
  await log.append(
    'telemetry.raw',
    Array.from({ length: 30_000 }, () => record('{"n":1}')),
  )
  await log.append('telemetry.dead-letter', [refusal(1, 'other/x')])
  await reader.next()
  await vi.waitFor(() => expect(log.reading).toBe(1), PATIENCE)
  await log.append('telemetry.raw', [record('{"n":2}', { key: 'other/x' })])
  let done = false
  const missing = new Set(['reading', 'skipped'])
  const reading = reader.until(({ event }) => missing.delete(event) && missing.size === 0).finally(() => (done = true))
  for (let ticks = 0; !done || ticks < 15; ticks += 1) {
    vi.advanceTimersByTime(1000)
    await setImmediate()
  }
  const seen = await reading
  const skipped = seen.reduce((sum, { data }) => sum + Number(data['records'] ?? 0), 0)
  expect(skipped).toBe(10_001)
  await log.append('telemetry.dead-letter', [refusal(2, 'other/x')])
  await reader.next()
  expect(reader.comments.length).toBeGreaterThan(0)
})

it('reads the log only while somebody watches', async () => {
  const { events, log, metrics } = await openLive()
  expect(log.reading).toBe(0)
  const readers = [await events(), await events()]
  expect(log.reading).toBe(2)
  expect(await metrics.getSingleMetricAsString('sluice_http_streams')).toMatch(/sluice_http_streams 2/)
  for (const reader of readers) reader.close()
  await vi.waitFor(() => expect(log.reading).toBe(0), PATIENCE)
  expect(await metrics.getSingleMetricAsString('sluice_http_streams')).toMatch(/sluice_http_streams 0/)
  const again = await events()
  await log.append('telemetry.raw', [record('{"n":1}')])
  expect((await again.next()).data['values']).toEqual({ n: 1 })
})

it('a client that goes while it comes leaves nothing behind', async () => {
  const { log, port, token, app } = await openLive()
  const gate = Promise.withResolvers<void>()
  const offsets = log.offsets.bind(log)
  const asked = Promise.withResolvers<void>()
  log.offsets = async (topic) => {
    asked.resolve()
    await gate.promise
    return offsets(topic)
  }
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  await asked.promise
  socket.destroy()
  await vi.waitFor(async () => {
    expect(await promisify(app.server.getConnections.bind(app.server))()).toBe(0)
  }, PATIENCE)
  gate.resolve()
  await vi.waitFor(async () => {
    expect((await app.inject({ url: '/metrics', headers: { authorization: `Bearer ${token}` } })).body).toMatch(
      /^sluice_http_streams 0$/m,
    )
    expect(log.reading).toBe(0)
  }, PATIENCE)
})

it('has room for so many and no more', async () => {
  const { events, call } = await openLive({ settings: { ...loadConfig(queryApiSettings, {}), HTTP_STREAMS_MAX: 2 } })
  const first = await events()
  await events()
  expect(await call('GET', '/v1/stream')).toMatchObject({ status: 503, body: { code: 'streams_exhausted' } })
  first.close()
  await vi.waitFor(async () => expect((await events()).status).toBe(200), PATIENCE)
})

it('a client that does not read loses the oldest, is told, and holds nobody up', async () => {
  const { events, log, port, token } = await openLive()
  const stuck = connect(port, '127.0.0.1')
  onTestFinished(() => void stuck.destroy())
  stuck.write(`GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  await once(stuck, 'readable')
  const reader = await events()
  const text = 'x'.repeat(15_000)
  for (let i = 0; i < 400; i += 1) {
    await log.append('telemetry.raw', [record(`{"n":${i},"a":"${text}","b":"${text}","c":"${text}","d":"${text}"}`)])
    expect((await reader.next()).data['values']).toMatchObject({ n: i })
  }
  let received = ''
  const accounted = Promise.withResolvers<void>()
  stuck.setEncoding('utf8').on('data', (chunk: string) => {
    received += chunk
    const shown = received.split('event: reading').length - 1
    const skipped = [...received.matchAll(/"records":(\d+)\}/g)].reduce((sum, [, records]) => sum + Number(records), 0)
    if (shown + skipped === 400) accounted.resolve()
  })
  await accounted.promise
  expect(received).toContain('"n":399')
  expect(received).toContain('event: skipped')
})

it('a log that cannot be read is 503, and the next client starts anew', async () => {
  const { call, events, log } = await openLive()
  const offsets = log.offsets.bind(log)
  log.offsets = async () => {
    throw new SluiceError('log_unavailable', 'no answer')
  }
  expect(await call('GET', '/v1/stream')).toMatchObject({ status: 503, body: { code: 'log_unavailable' } })
  log.offsets = offsets
  const reader = await events()
  await log.append('telemetry.raw', [record('{"n":1}')])
  expect((await reader.next()).data['values']).toEqual({ n: 1 })
})
