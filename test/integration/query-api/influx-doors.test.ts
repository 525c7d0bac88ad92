import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../../shared/errors.ts'
import { openApi, type Answer } from './api.ts'

const T = 1_769_860_800

/** An API with the device `demo/first`, and its token as clients of 2.x send it. */
async function openWithDevice() {
  const api = await openApi()
  const made = await api.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
  const token = String(made.body['token'])
  const write = (payload: string | Buffer, { query = '', headers = {} } = {}): Promise<Answer> =>
    api.call('POST', `/api/v2/write${query}`, {
      payload,
      token: null,
      headers: { authorization: `Token ${token}`, ...headers },
    })
  const kept = () => api.log.records('telemetry.raw').map(({ value }) => Buffer.from(value).toString())
  return { ...api, deviceToken: token, write, kept }
}

describe('line protocol that is posted', () => {
  it.each([
    ['a token of 2.x', '/api/v2/write?org=o&bucket=b', (token: string) => `Token ${token}`],
    ['a bearer token', '/api/v2/write', (token: string) => `bearer ${token}`],
    ['a username and the token', '/api/v2/write', (token: string) => `Token anybody:${token}`],
    ['a password of 1.x', '/write?db=telegraf', (token: string) => `Basic ${btoa(`anybody:${token}`)}`],
    ['parameters', '/write?db=x&u=anybody&p=', undefined],
    ['the token as the username', '/write?u=', undefined],
  ])('is taken with %s, and answered 204 when it is in the log', async (_what, url, authorization) => {
    const { call, log, logged, deviceToken } = await openWithDevice()
    const headers = authorization === undefined ? {} : { authorization: authorization(deviceToken) }
    const whole = authorization === undefined ? `${url}${deviceToken}` : url
    const answer = await call('POST', whole, { payload: `cpu a=1i ${T}000000000\n`, token: null, headers })
    expect(answer).toMatchObject({ status: 204, text: '', headers: { 'x-influxdb-version': '1.8.10' } })
    expect(log.records('telemetry.raw')).toMatchObject([{ key: 'demo/first', headers: { lines: 'ns' } }])
    expect(logged.join('')).not.toContain(deviceToken)
  })

  it.each([
    ['no token', '', {}, 401, 'unauthorized'],
    ['a wrong token', '', { authorization: 'Token slt_nobody' }, 401, 'unauthorized'],
    ['a unit that is none', '?precision=days', undefined, 400, 'invalid'],
    ['an encoding that is not gzip', '', { 'content-encoding': 'br' }, 415, 'invalid'],
    ['what is not gzip', '', { 'content-encoding': 'gzip' }, 400, 'invalid'],
  ])('is refused with %s in words of InfluxDB', async (_what, query, headers, status, code) => {
    const { write, call, kept } = await openWithDevice()
    const isLogin = headers !== undefined && ('authorization' in headers || Object.keys(headers).length === 0)
    const answer = isLogin
      ? await call('POST', `/api/v2/write`, { payload: 'm a=1', token: null, headers })
      : await write('m a=1', { query, headers: headers ?? {} })
    expect(answer).toMatchObject({ status, body: { code, error: answer.body['message'] } })
    expect(kept()).toEqual([])
  })

  it('says in the record which unit its times have', async () => {
    const { write, log } = await openWithDevice()
    for (const precision of ['', 'n', 'ns', 'u', 'us', '%C2%B5', 'ms', 's', 'm', 'h']) {
      expect(await write('m a=1 1', { query: `?precision=${precision}` })).toMatchObject({ status: 204 })
    }
    const units = log.records('telemetry.raw').map(({ headers }) => headers?.['lines'])
    expect(units).toEqual(['ns', 'ns', 'ns', 'us', 'us', 'us', 'ms', 's', 'm', 'h'])
  })

  it('may be gzip, of several parts too, and is bounded before it is unpacked', async () => {
    const { write, kept } = await openWithDevice()
    const headers = { 'content-encoding': 'gzip' }
    expect(await write(gzipSync('m a=1'), { headers })).toMatchObject({ status: 204 })
    const parts = Buffer.concat([gzipSync(`m b=1\n${'#'.repeat(1000)}\n`), gzipSync('m c=1')])
    expect(await write(parts, { headers })).toMatchObject({ status: 204 })
    expect(kept()).toEqual(['m a=1', `m b=1\n${'#'.repeat(1000)}\nm c=1`])
    const bomb = gzipSync(Buffer.alloc(30_000_000, 'x'))
    expect(await write(bomb, { headers })).toMatchObject({ status: 413, body: { code: 'request too large' } })
    bomb.writeUInt32LE(10, bomb.length - 4)
    expect(await write(bomb, { headers })).toMatchObject({ status: 413 })
    expect(await write(Buffer.alloc(25_000_001, 'x'))).toMatchObject({ status: 413 })
    expect(kept()).toHaveLength(2)
  })

  it('goes into records that end where lines do, in order, before it is answered', async () => {
    const { write, kept, log } = await openWithDevice()
    const lines = Array.from({ length: 20_000 }, (_, n) => `m,tag=x n=${n},s="line\n${n}" ${T + n}`)
    const gate = Promise.withResolvers<void>()
    log.appendGate = gate.promise
    let isAnswered = false
    const answer = write(`${lines.join('\n')}\n`, { query: '?precision=s' }).finally(() => (isAnswered = true))
    await new Promise(setImmediate)
    expect(isAnswered).toBe(false)
    gate.resolve()
    expect(await answer).toMatchObject({ status: 204 })
    const parts = kept()
    expect(parts.length).toBeGreaterThan(10)
    expect(parts.every((part) => part.startsWith('m,tag=x') && Buffer.byteLength(part) <= 60_000)).toBe(true)
    expect(parts.join('').trimEnd().split('\nm,')).toHaveLength(lines.length)
    const order = log.records('telemetry.raw').map(({ ms, ns }) => ms * 1e6 + ns)
    expect(order).toEqual(order.toSorted((a, b) => a - b))
  })

  it('leaves out a line that is larger than a record, as a letter', async () => {
    const { write, kept, log } = await openWithDevice()
    const long = `m a="${'x'.repeat(300_000)}"`
    expect(await write(`m a=1\n${long}\nm b=2\n`)).toMatchObject({ status: 204 })
    expect(kept()).toEqual(['m a=1\n', 'm b=2\n'])
    expect(log.records('telemetry.dead-letter')).toHaveLength(1)
    const strict = await write(long, { query: '?strict' })
    expect(strict).toMatchObject({ status: 400, body: { sluice: 'payload_too_large' } })
  })

  it('is checked where that is asked for: 400 with the count, and what is good is stored', async () => {
    const { write, kept } = await openWithDevice()
    expect(await write('m a=1\nm b=2', { query: '?strict' })).toMatchObject({ status: 204 })
    const answer = await write('m a=1\nm\nm b=x,c=1', { query: '?strict=true' })
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid' } })
    expect(answer.body['message']).toMatch(/^partial write: .* dropped=2$/)
    expect(kept()).toHaveLength(2)
    expect(await write('', { query: '?strict' })).toMatchObject({ status: 204 })
    expect(await write('m', { query: '?strict=false' })).toMatchObject({ status: 204 })
  })

  it.each(['log_full', 'disk_full', 'log_unavailable'] as const)(
    'is to come again when the log says %s',
    async (code) => {
      const { write, log } = await openWithDevice()
      log.append = async () => {
        throw new SluiceError(code, 'no')
      }
      const answer = await write('m a=1')
      expect(answer).toMatchObject({
        status: 503,
        headers: { 'retry-after': '1' },
        body: { code: 'unavailable', sluice: code },
      })
    },
  )

  it('is told to come again before its body is read when too much waits', async () => {
    const { write, log, kept } = await openWithDevice()
    const gate = Promise.withResolvers<void>()
    log.appendGate = gate.promise
    const body = Buffer.alloc(20_000_000, 'm a=1\n')
    const first = write(body)
    await expect.poll(() => write(body).then(({ status }) => status)).toBe(503)
    gate.resolve()
    expect(await first).toMatchObject({ status: 204 })
    await expect.poll(() => write('m z=1').then(({ status }) => status)).toBe(204)
    expect(kept().join('')).toContain('m z=1')
  })

  it('waits while a worker lives that would not read it', async () => {
    const { call } = await openApi({ workers: async () => [{ id: 'a', host: 'h', partitions: [0], features: [] }] })
    const made = await call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'first' } })
    const headers = { authorization: `Token ${String(made.body['token'])}` }
    const answer = await call('POST', '/write', { payload: 'm a=1', token: null, headers })
    expect(answer).toMatchObject({ status: 503, body: { sluice: 'feature_missing' } })
  })
})

describe('an application that posts', () => {
  async function openWithApplication(...allow: string[]) {
    const api = await openApi()
    const rules = allow.map((topic) => ({
      effect: topic.startsWith('!') ? 'deny' : 'allow',
      action: 'publish',
      topic: topic.replace('!', ''),
    }))
    const made = await api.call('POST', '/v1/applications', { payload: { name: 'telegraf', rules } })
    const headers = { authorization: `Token ${String(made.body['token'])}` }
    const write = (query: string) =>
      api.call('POST', `/write${query}`, { payload: 'cpu,host=a x=1', token: null, headers })
    return { ...api, write }
  }

  it('writes to the tenant that its rules name, whatever the database is called', async () => {
    const { write, log } = await openWithApplication('t/demo/+/telemetry/#', 't/other/a/telemetry')
    expect(await write('?db=other')).toMatchObject({ status: 204 })
    expect(log.records('telemetry.raw')).toMatchObject([
      { key: 'demo/\u001etelegraf', headers: { topic: 't/demo/telemetry', login: 'telegraf', lines: 'ns' } },
    ])
  })

  it('chooses among several tenants by the database or the bucket, and none beyond them', async () => {
    const { write, log } = await openWithApplication('t/a/+/telemetry/#', 't/b/+/telemetry/#')
    expect(await write('?db=b/autogen')).toMatchObject({ status: 204 })
    expect(log.records('telemetry.raw')).toMatchObject([{ key: 'b/\u001etelegraf' }])
    expect(await write('?db=c')).toMatchObject({ status: 400, body: { code: 'invalid' } })
  })

  it.each([[['t/demo/a/telemetry/#']], [['t/demo/+/telemetry']], [['t/demo/+/telemetry/#', '!t/demo/+/telemetry/x']]])(
    'needs a rule for all devices and streams: %j is not enough',
    async (allow) => {
      const { write, log } = await openWithApplication(...allow)
      expect(await write('?db=demo')).toMatchObject({
        status: 403,
        body: { code: 'forbidden', sluice: 'not_authorised' },
      })
      expect(log.records('telemetry.raw')).toEqual([])
    },
  )
})

describe('what clients ask before they write', () => {
  it('is whether somebody is there', async () => {
    const { call } = await openApi()
    const version = { 'x-influxdb-version': '1.8.10', 'x-influxdb-build': 'Sluice' }
    expect(await call('GET', '/ping', { token: null })).toMatchObject({ status: 204, headers: version })
    expect(await call('GET', '/ping?verbose=true', { token: null })).toMatchObject({
      status: 200,
      body: { version: '1.8.10' },
    })
    expect(await call('GET', '/health', { token: null })).toMatchObject({ status: 200, body: { status: 'pass' } })
    const down = await openApi({ checks: [{ name: 'log', check: async () => ({ ok: false }) }] })
    expect(await down.call('GET', '/health', { token: null })).toMatchObject({ status: 503, body: { status: 'fail' } })
  })

  it('is which databases and buckets there are, and to make theirs', async () => {
    const { call, deviceToken } = await openWithDevice()
    const headers = { authorization: `Token ${deviceToken}` }
    const ask = (method: 'GET' | 'POST', url: string, payload?: string) =>
      call(method, url, { token: null, headers, ...(payload === undefined ? {} : { payload }) })
    const databases = {
      results: [{ statement_id: 0, series: [{ name: 'databases', columns: ['name'], values: [['demo']] }] }],
    }
    expect(await ask('GET', '/query?q=SHOW+DATABASES')).toMatchObject({ status: 200, body: databases })
    expect(await ask('POST', '/query', 'q=SHOW%20DATABASES%3B')).toMatchObject({ status: 200, body: databases })
    const made = await ask('POST', '/query?q=CREATE%20DATABASE%20%22telegraf%22')
    expect(made).toMatchObject({ status: 200, body: { results: [{ statement_id: 0 }] } })
    expect(await ask('GET', '/query?q=SELECT+*+FROM+cpu')).toMatchObject({
      status: 400,
      body: { sluice: 'bad_request' },
    })
    expect(await ask('GET', '/query')).toMatchObject({ status: 400 })
    expect(await ask('GET', '/api/v2/buckets?name=b')).toMatchObject({
      status: 200,
      body: { buckets: [{ name: 'b' }] },
    })
    expect(await ask('GET', '/api/v2/buckets')).toMatchObject({ body: { buckets: [{ name: 'demo' }] } })
    expect(await ask('POST', '/api/v2/buckets', '{"name":"b"}')).toMatchObject({ status: 201, body: { name: 'b' } })
    expect(await call('GET', '/query?q=SHOW+DATABASES', { token: null })).toMatchObject({ status: 401 })
  })
})
