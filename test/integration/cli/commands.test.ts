import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { freePorts } from '../../../load-tests/servers/server-process.ts'
import { ok, problem, runAgainst, startFakeService, type Answer, type Request } from './fake-service.ts'

const login = { username: 'a/b', secret: 'the-secret', token: 'the-token' }

/** Runs a command against a service that gives this answer to everything. */
async function run(args: readonly string[], answer: (request: Request) => Answer | undefined = () => ok({})) {
  const service = await startFakeService({ answer })
  const outcome = await runAgainst(service.url, args)
  return { ...outcome, request: service.requests.at(-1), requests: service.requests }
}

describe('devices', () => {
  it('add posts the name and its tags, and shows the login', async () => {
    const args = ['devices', 'add', 'a/b', '--tag', 'site=north', '--tag', 'note=a=b']
    const { code, stdout, request } = await run(args, () => ({
      status: 201,
      body: { tenant: 'a', device: 'b', ...login },
    }))
    expect(request).toMatchObject({ method: 'POST', path: '/v1/devices', authorization: 'Bearer key' })
    expect(request?.body).toEqual({ tenant: 'a', device: 'b', tags: { site: 'north', note: 'a=b' } })
    for (const value of Object.values(login)) expect(stdout).toContain(value)
    expect(code).toBe(0)
  })

  it('add of an existing name fails in one line that says what to do', async () => {
    const { code, stdout, stderr } = await run(['devices', 'add', 'a/b'], () =>
      problem(409, 'already_exists', 'a/b exists'),
    )
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe('sluice: a/b exists. Choose another name, or remove the existing one first.\n')
  })

  it('list reads page after page, up to the limit', async () => {
    const device = (n: number) => ({ tenant: 'a', device: `d${n}`, tags: {}, createdAt: null, lastSeen: null })
    const pages = ({ query }: Request) => {
      const from = Number(query.get('cursor') ?? 0)
      const devices = Array.from({ length: Math.min(2, Number(query.get('limit'))) }, (_, index) =>
        device(from + index),
      )
      return ok({ devices, next: from + 2 >= 5 ? null : String(from + 2) })
    }
    const all = await run(['devices', 'list', '--json'], pages)
    expect(JSON.parse(all.stdout)).toMatchObject({ more: false, devices: { length: 6 } })
    const some = await run(['devices', 'list', '--limit', '3', '--tenant', 'a'], pages)
    expect(some.request?.query.get('tenant')).toBe('a')
    expect(some.stdout).toMatch(
      /^device +connected +last heard +last seen +tags\na\/d0 +offline +never +never\na\/d1 .*\na\/d2 .*\n\.\.\. and more/,
    )
  })

  it('show lists streams and fields', async () => {
    const streams = [{ stream: 'telemetry', fields: [{ field: 't', type: 'float' }] }]
    const found = {
      tenant: 'a',
      device: 'b',
      tags: { site: 'x' },
      createdAt: '2026-01-01T00:00:00Z',
      lastSeen: null,
      streams,
    }
    const { stdout, request } = await run(['devices', 'show', 'a/b'], () => ok(found))
    expect(request?.path).toBe('/v1/devices/a/b')
    expect(stdout).toMatch(/last seen +never[^]*telemetry +t +float/)
  })

  it('remove deletes', async () => {
    const { code, stdout, request } = await run(['devices', 'remove', 'a/b', '--json'], () => ({ status: 204 }))
    expect(request).toMatchObject({ method: 'DELETE', path: '/v1/devices/a/b' })
    expect({ code, stdout }).toEqual({ code: 0, stdout: '{"removed":"a/b"}\n' })
  })
})

describe('applications', () => {
  it('add posts its rules in order', async () => {
    const rules = ['--allow', 'publish:t/+/x/#', '--allow', 'subscribe:t/#', '--deny', 'subscribe:t/secret/#']
    const { request } = await run(['applications', 'add', 'dash', ...rules], () => ({ status: 201, body: login }))
    expect(request?.body).toEqual({
      name: 'dash',
      rules: [
        { effect: 'allow', action: 'publish', topic: 't/+/x/#' },
        { effect: 'allow', action: 'subscribe', topic: 't/#' },
        { effect: 'deny', action: 'subscribe', topic: 't/secret/#' },
      ],
    })
  })

  it('list and remove', async () => {
    const rules = [{ effect: 'allow', action: 'publish', topic: 't/#' }]
    const listed = await run(['applications', 'list'], () =>
      ok({ applications: [{ name: 'dash', rules, createdAt: null }] }),
    )
    expect(listed.stdout).toMatch(/dash +allow publish t\/#/)
    const removed = await run(['applications', 'remove', 'dash'], () => ({ status: 204 }))
    expect(removed.request).toMatchObject({ method: 'DELETE', path: '/v1/applications/dash' })
  })
})

describe('dead-letters list', () => {
  it('shows what happened and once per code what to do', async () => {
    const fault = { element: 1, path: 'motor.speed', code: 'value_unsupported', detail: 'an array' }
    const faults = [fault, { ...fault, element: 2, path: null, code: 'time_invalid', detail: 'noon' }]
    const letter = {
      id: 'log/0/1',
      faults,
      faultCount: 7,
      who: 'a/b',
      topic: 't',
      receivedAt: 'now',
      done: { state: 'faulty', tries: 2 },
    }
    const filter = ['--code', 'value_unsupported', '--tenant', 'a', '--kind', 'fault']
    const args = ['dead-letters', 'list', '--limit', '2', ...filter]
    const { stdout, request } = await run(args, () => ok({ deadLetters: [letter, letter], next: null }))
    const query = { tenant: 'a', code: 'value_unsupported', kind: 'fault', limit: '2' }
    expect(Object.fromEntries(request?.query ?? [])).toEqual(query)
    expect(stdout).toMatch(
      /log\/0\/1 +now +a\/b +t +faulty \(2\) +\[1\] motor\.speed +value_unsupported +an array\n +\[2\] +time_invalid +noon/,
    )
    expect(stdout.match(/and 5 more/g)).toHaveLength(2)
    expect(stdout.match(/ {2}value_unsupported: Send text/g)).toHaveLength(1)
    expect(stdout.match(/ {2}time_invalid: Send/g)).toHaveLength(1)
  })
})

describe('status', () => {
  it('is exit 1 when something is not ready', async () => {
    const readiness = { ready: false, checks: [{ name: 'log', ok: false }] }
    const answer = ({ path }: Request) =>
      path === '/readyz' ? { status: 503, body: readiness, type: 'application/json' } : undefined
    const { code, stdout } = await run(['status', '--json'], answer)
    expect(JSON.parse(stdout)).toMatchObject({ ready: false, readiness })
    expect(code).toBe(1)
    expect((await run(['status'], () => undefined)).code).toBe(0)
  })

  it('shows the broker nodes, or why they are not known', async () => {
    const node = { id: 'one', address: { host: '10.0.0.1', port: 1883 }, clients: 7, inFlight: 2, since: 'today' }
    const { stdout } = await run(['status'], ({ path }) => (path === '/v1/nodes' ? ok({ nodes: [node] }) : undefined))
    expect(stdout).toMatch(/one +10\.0\.0\.1:1883 +7 +2 +today/)
    const unknown = await run(['status'], ({ path }) =>
      path === '/v1/nodes' ? problem(503, 'redis_unavailable', 'away') : undefined,
    )
    expect(unknown).toMatchObject({ code: 0, stdout: expect.stringContaining('unknown: redis_unavailable') as string })
  })
})

describe('tail', () => {
  const events = [
    ': hello\n\n',
    'event: reading\ndata: {"tenant":"a","device":"b","stream":"m","time":"T","values":{"t":1,"s":"\\u001b[2J"}}\n\n',
    'event: refusal\ndata: {"code":"login_failed","detail":"no","fix":"Fix.","who":"x","topic":null,"receivedAt":"R"}\n\n',
    'event: skipped\ndata: {"records":7}\n\n',
  ].join('')
  const stream = () => ({ status: 200, body: events, type: 'text/event-stream' })

  it('prints a line each, without letting a device steer the terminal', async () => {
    const { code, stdout, stderr, request } = await run(['tail', 'a/b'], stream)
    expect(Object.fromEntries(request?.query ?? [])).toEqual({ tenant: 'a', device: 'b' })
    expect(stdout.split('\n')).toEqual([
      'T a/b m t=1 s="\\u001b[2J"',
      'R refused login_failed x: no Fix.',
      '... 7 skipped: too fast to show',
      '',
    ])
    expect(stderr).toContain('closed the stream')
    expect(code).toBe(1)
  })

  it('prints JSON lines, and ends at its limit', async () => {
    const { code, stdout } = await run(['tail', '--json', '--limit', '2'], stream)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    expect(lines).toMatchObject([{ event: 'reading' }, { event: 'refusal', code: 'login_failed' }])
    expect(code).toBe(0)
  })
})

describe('a service', () => {
  it('that is not there is one line: what, and what to do', async () => {
    const url = `http://127.0.0.1:${(await freePorts(1))[0]}`
    const { code, stdout, stderr } = await runAgainst(url, ['devices', 'list', '--json'])
    const fix = 'Start Sluice with `./sluice up`, or set its address with --url or SLUICE_URL.'
    expect(stderr).toBe(`sluice: no answer from ${url} (ECONNREFUSED). ${fix}\n`)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'api_unreachable' } })
    expect(code).toBe(1)
  })

  it('that is another server is called so', async () => {
    const { code, stderr } = await run(['devices', 'list'], () => ({ status: 200, body: '<html>', type: 'text/html' }))
    expect(stderr).toContain('does not answer like Sluice')
    expect(code).toBe(1)
  })

  it('that asks to wait is asked again', async () => {
    let asked = 0
    const wait: Answer = { ...problem(429, 'rate_limited', 'slow down'), headers: { 'retry-after': '0' } }
    const { code, requests } = await run(['devices', 'list'], () =>
      asked++ < 2 ? wait : ok({ devices: [], next: null }),
    )
    expect({ code, requests: requests.length }).toEqual({ code: 0, requests: 3 })
  })

  it('of a newer version may use codes that are unknown here', async () => {
    const { stderr } = await run(['devices', 'list'], () => problem(418, 'teapot', 'short and stout'))
    expect(stderr).toBe('sluice: HTTP 418: short and stout Do something.\n')
  })
})

describe('settings', () => {
  it('the token comes from the data folder, the address from the port', async () => {
    const service = await startFakeService({ answer: () => ok({ devices: [], next: null }) })
    const DATA_DIR = tempFolder()
    mkdirSync(DATA_DIR, { recursive: true })
    const env = { DATA_DIR, HTTP_PORT: new URL(service.url).port }
    const without = await runAgainst('', ['devices', 'list'], { env })
    expect(without).toMatchObject({ code: 1, stderr: expect.stringContaining('SLUICE_TOKEN is not set') as string })
    writeFileSync(join(DATA_DIR, 'admin-token'), 'from-file\n')
    expect((await runAgainst('', ['devices', 'list'], { env })).code).toBe(0)
    expect(service.requests.at(-1)?.authorization).toBe('Bearer from-file')
  })

  it('a wrong one is named', async () => {
    const { code, stderr } = await runAgainst('', ['devices', 'list'], { env: { HTTP_PORT: 'x' } })
    expect(stderr).toMatch(/^sluice: HTTP_PORT: "x" is not a whole number/)
    expect(code).toBe(1)
    const url = await runAgainst('localhost:80', ['devices', 'list'])
    expect(url.stderr).toContain('"localhost:80" is not a URL')
  })

  it('explain shows values, sources and masked secrets', async () => {
    const env = { MQTT_PORT: '2000', SLUICE_TOKEN: 'key-to-hide' }
    const { code, stdout } = await runAgainst('', ['config', 'explain', '--json'], { env })
    const { settings } = JSON.parse(stdout) as { settings: { name: string; value: string; source: string }[] }
    expect(settings).toContainEqual(
      expect.objectContaining({ name: 'MQTT_PORT', value: '2000', source: 'environment' }),
    )
    expect(settings).toContainEqual(expect.objectContaining({ name: 'SLUICE_TOKEN', value: '********' }))
    expect(settings).toContainEqual(expect.objectContaining({ name: 'DATA_DIR', value: './data', source: 'default' }))
    expect(stdout).not.toContain('key-to-hide')
    expect(code).toBe(0)
    expect((await runAgainst('', ['config', 'explain'], { env })).stdout).toMatch(/^MQTT_PORT +2000 +environment/m)
  })
})
