import { gzipSync } from 'node:zlib'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { queryApiSettings } from '../../../config/query-api.ts'
import { loadConfig } from '../../../shared/config.ts'
import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { Rates, type RateSettings } from '../../../shared/rates.ts'
import { openApi } from './api.ts'

const PATH = '/v1/devices/demo/first/readings'

async function openWithDevice() {
  const api = await openApi()
  await api.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  return api
}

it('puts the bytes as they are into the log, with key, stamp and topic', async () => {
  const { call, log } = await openWithDevice()
  const payload = Buffer.from('{ "a" : 1.50 , "t":"é" }\n')
  const first = await call('POST', PATH, { payload })
  expect(first).toMatchObject({ status: 202, body: { accepted: 1, rejected: [] } })
  await call('POST', `${PATH}?stream=telemetry`, { payload: '[{"a":1},{"a":2}]' })
  await call('POST', `${PATH}?stream=power`, { payload: '{"a":1}' })
  const records = log.records('telemetry.raw')
  expect(Buffer.from(records[0]?.value ?? [])).toEqual(payload)
  const ms = 1_767_225_600_000
  // The clock moves by as many nanoseconds as the message reserves times: one for an object, what the length allows for a list.
  expect(records).toMatchObject([
    { key: 'demo/first', ms, ns: 1, headers: undefined },
    { key: 'demo/first', ms, ns: 7, headers: undefined },
    { key: 'demo/first', ms, ns: 8, headers: { topic: 't/demo/first/telemetry/power' } },
  ])
})

it('answers only when the append has returned', async () => {
  const { call, log } = await openWithDevice()
  const gate = Promise.withResolvers<void>()
  log.appendGate = gate.promise
  let answered = false
  const answer = call('POST', PATH, { payload: '{"a":1}' }).finally(() => (answered = true))
  await call('GET', '/v1/status')
  expect(answered).toBe(false)
  gate.resolve()
  expect((await answer).status).toBe(202)
})

it.each(['log_full', 'disk_full', 'log_unavailable'] as const)(
  'a log that says %s is 503, not accepted',
  async (code) => {
    const { call, log } = await openWithDevice()
    log.append = async () => {
      throw new SluiceError(code, 'no')
    }
    expect(await call('POST', PATH, { payload: '{"a":1}' })).toMatchObject({ status: 503, body: { code } })
  },
)

it('holds no more payloads than it may while the log makes no progress', async () => {
  const { call, log } = await openWithDevice()
  const gate = Promise.withResolvers<void>()
  log.appendGate = gate.promise
  const answers = Array.from({ length: 300 }, () => call('POST', PATH, { payload: '{"a":1}' }))
  let refused = 0
  const enough = Promise.withResolvers<void>()
  for (const answer of answers) {
    void answer.then(({ status, body }) => {
      if (status === 503 && body['code'] === 'broker_overloaded' && (refused += 1) === 44) enough.resolve()
    })
  }
  await enough.promise
  gate.resolve()
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  expect(statuses.filter((status) => status === 202)).toHaveLength(256)
  expect(log.records('telemetry.raw')).toHaveLength(256)
})

it.each([
  'application/json',
  'application/json; charset=utf-8',
  'application/x-www-form-urlencoded',
  'text/plain',
  'application/octet-stream',
  'multipart/form-data',
  'nonsense',
  ';;',
])('takes the bytes whatever they are called: %s', async (type) => {
  const { call, log } = await openWithDevice()
  const answer = await call('POST', PATH, { payload: '{"a":1}', headers: { 'content-type': type } })
  expect(answer).toMatchObject({ status: 202, body: { accepted: 1 } })
  expect(Buffer.from(log.records('telemetry.raw')[0]?.value ?? []).toString()).toBe('{"a":1}')
})

it('leaves what takes longer than a text to the worker, and gives no verdict', async () => {
  const { call, log } = await openWithDevice()
  const undecided = { status: 202, body: { accepted: null, rejected: [], rejectedCount: 0 } }
  expect(await call('POST', PATH, { payload: gzipSync('{"a":1}') })).toMatchObject(undecided)
  expect(await call('POST', PATH, { payload: gzipSync('{') })).toMatchObject(undecided)
  expect(log.records('telemetry.raw')).toHaveLength(2)
})

it('does not take compressed bytes for readings', async () => {
  const { call } = await openWithDevice()
  const answer = await call('POST', PATH, { payload: '{"a":1}', headers: { 'content-encoding': 'gzip' } })
  expect(answer).toMatchObject({ status: 415, body: { code: 'media_type_unsupported' } })
})

const deep = `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`

it.each([
  ['', 'payload_empty'],
  ['{"a":', 'payload_not_json'],
  ['{"a":Nan1}', 'payload_not_json'],
  [Buffer.from([0x7b, 0xff, 0x7d]), 'payload_not_utf8'],
  [deep, 'payload_too_deep'],
  ['[[1,2]]', 'reading_not_object'],
  ['{}', 'reading_empty'],
  ['{"a":1e999}', 'value_out_of_range'],
  ['{"a":[{}]}', 'list_left_out'],
  ['{"a":"\\ud800"}', 'value_unsupported'],
  ['{"a\\ud800":1}', 'field_name_invalid'],
  ['{"ts":"2261-01-01T00:00:00Z","a":1}', 'time_ahead'],
  ['{"ts":-1,"a":1}', 'time_out_of_range'],
  ['{"ts":"noon","a":1}', 'time_invalid'],
])('a payload without a good reading is refused and not kept: %.30s', async (payload, code) => {
  const { call, log } = await openWithDevice()
  const answer = await call('POST', PATH, { payload })
  expect(answer).toMatchObject({ status: 400, body: { code } })
  const element = code.startsWith('payload_') && code !== 'payload_too_deep' ? null : 0
  expect(answer.body['rejected']).toEqual(expect.arrayContaining([expect.objectContaining({ element, code })]))
  expect(log.records('telemetry.raw')).toEqual([])
})

it('takes the good fields of an array and names the bad ones, as the worker will', async () => {
  const { call, log } = await openWithDevice()
  const payload = '[{"a":1,"b":{"c":[[1]]}},{"a":[{}]},{"a":2},5,{"ts":-1,"a":3},{"__proto__":[[]]}]'
  const { status, body } = await call('POST', PATH, { payload })
  const rejected = body['rejected'] as { element: number; path: string | null; code: string }[]
  expect(body['rejectedCount']).toBe(5)
  expect({ status, accepted: body['accepted'] }).toEqual({ status: 202, accepted: 2 })
  expect(rejected.map(({ element, path, code }) => [element, path, code])).toEqual([
    [0, 'b.c', 'list_left_out'],
    [1, 'a', 'list_left_out'],
    [3, null, 'reading_not_object'],
    [4, null, 'time_out_of_range'],
    [5, '__proto__', 'list_left_out'],
  ])
  const decoded = decodeRecords(log.records('telemetry.raw'), new SeriesTable())
  expect(decoded.readings).toBe(2)
  expect(decoded.faults.get(0)?.first).toEqual(rejected)
})

it('limits: 64 KiB is taken, one byte more is 413, for an unknown device and name 404 and 400', async () => {
  const { call, log } = await openWithDevice()
  const fits = `{"a":1${' '.repeat(65_536 - 7)}}`
  expect(fits).toHaveLength(65_536)
  expect((await call('POST', PATH, { payload: fits })).status).toBe(202)
  expect(await call('POST', PATH, { payload: `${fits} ` })).toMatchObject({
    status: 413,
    body: { code: 'payload_too_large' },
  })
  expect((await call('POST', '/v1/devices/demo/none/readings', { payload: '{"a":1}' })).status).toBe(404)
  const wrong = await call('POST', `${PATH}?stream=${'x'.repeat(129)}`, { payload: '{"a":1}' })
  expect(wrong).toMatchObject({ status: 400, body: { code: 'name_invalid' } })
  expect(log.records('telemetry.raw')).toHaveLength(1)
})

it.skipIf(!existsSync('/usr/bin/curl'))('curl -d, --data-binary of a file, and a body in chunks', async () => {
  const { app, log, token } = await openWithDevice()
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}${PATH}`
  const curl = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)('curl', ['-sS', '-H', `Authorization: Bearer ${token}`, ...args, url])
    return JSON.parse(stdout) as { accepted?: number; code?: string }
  }
  expect(await curl('-d', '{"a":1}')).toMatchObject({ accepted: 1 })
  expect(await curl('-d', '{"a":2}', '-H', 'Content-Type:')).toMatchObject({ accepted: 1 })
  expect(await curl('-d', '{"a":3}', '-H', 'Transfer-Encoding: chunked')).toMatchObject({ accepted: 1 })
  expect(await curl('-F', 'a=1')).toMatchObject({ code: 'payload_not_json' })
  expect(await curl('-X', 'POST')).toMatchObject({ code: 'payload_empty' })
  expect(await curl('-d', 'x'.repeat(70_000))).toMatchObject({ code: 'payload_too_large' })
  expect(log.records('telemetry.raw').map(({ value }) => Buffer.from(value).toString())).toEqual([
    '{"a":1}',
    '{"a":2}',
    '{"a":3}',
  ])
})

it('the same readings by HTTP many times at once are all there', async () => {
  const { call, log } = await openWithDevice()
  await Promise.all(Array.from({ length: 100 }, (_, i) => call('POST', PATH, { payload: `{"i":${i}}` })))
  const records = log.records('telemetry.raw')
  const hashes = new Set(records.map(({ value }) => createHash('sha1').update(value).digest('hex')))
  expect(hashes.size).toBe(100)
  expect(new Set(records.map(({ ns }) => ns)).size).toBe(100)
})

/** Two devices of a tenant and one of another, with rates whose clock stands still unless it is moved. */
async function openWithRates(settings: Partial<RateSettings>) {
  const clock = { ms: 0 }
  const rates = new Rates(
    { ...loadConfig(queryApiSettings, {}), RATE_BURST_SECONDS: 1, ...settings },
    undefined,
    () => clock.ms,
  )
  const api = await openApi({ rates })
  for (const tenant of ['demo', 'other']) {
    for (const device of ['first', 'second']) await api.call('POST', '/v1/devices', { payload: { tenant, device } })
  }
  const post = (name: string, payload = '{"a":1}') => api.call('POST', `/v1/devices/${name}/readings`, { payload })
  return { ...api, clock, post }
}

it('rates of a device and of its tenant hold over HTTP: 429, when to come back, and nothing in the log', async () => {
  const { post, clock, log, metrics } = await openWithRates({
    DEVICE_MESSAGES_PER_SECOND: 2,
    TENANT_MESSAGES_PER_SECOND: 3,
  })
  const codes = async (...names: string[]) => {
    const answers = []
    for (const name of names) answers.push((await post(name)).status)
    return answers
  }
  expect(await codes('demo/first', 'demo/first', 'demo/first')).toEqual([202, 202, 429])
  expect(await codes('demo/second', 'demo/second', 'other/first')).toEqual([202, 429, 202])
  expect(await post('demo/first')).toMatchObject({
    headers: { 'retry-after': '1' },
    body: { code: 'rate_limited', detail: 'demo/first has used up message_rate, 2 per second.' },
  })
  expect(log.records('telemetry.raw')).toHaveLength(4)
  expect(await metrics.metrics()).toContain('sluice_http_rate_limited_total{limit="tenant_message_rate"} 1')
  clock.ms += 1_000
  expect(await codes('demo/first', 'demo/first')).toEqual([202, 202])
})

it('a payload of more bytes than the rate allows is taken, and paid for afterwards', async () => {
  const { post, clock } = await openWithRates({ DEVICE_BYTES_PER_SECOND: 100 })
  expect((await post('demo/first', `{"a":"${'x'.repeat(992)}"}`)).status).toBe(202)
  expect(await post('demo/first')).toMatchObject({ status: 429, headers: { 'retry-after': '10' } })
  expect((await post('demo/second')).status).toBe(202)
  clock.ms += 10_000
  expect((await post('demo/first')).status).toBe(202)
})
