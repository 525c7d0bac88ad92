import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Host } from '../../../services/cli/session.ts'
import { runCli } from '../../../services/cli/program.ts'
import { startPublishSink } from '../../../load-tests/servers/publish-sink.ts'

export interface Answer {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly type?: string
}

export interface Request {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: unknown
  readonly authorization: string | undefined
}

export type Series = { stream: string; field: string; points: [number, unknown][] }

export interface FakeOptions {
  /** Answers a request in place of the fake; undefined leaves it to the fake. */
  readonly answer?: (request: Request) => Answer | undefined
  /** Changes what the API says about readings that were stored truly. */
  readonly tamper?: (device: string, series: Series[]) => void
  /** Keeps a message back, as a broker that acknowledges and forgets does. */
  readonly forget?: (sequence: number, device: string) => boolean
}

export interface FakeService {
  readonly url: string
  readonly requests: readonly Request[]
  readonly devices: ReadonlySet<string>
}

/** The API and the broker in memory, true to the contract unless told to lie: for what the CLI makes of answers. */
export async function startFakeService(options: FakeOptions = {}): Promise<FakeService> {
  const devices = new Set<string>()
  const readings = new Map<string, Map<number, Record<string, unknown>>>()
  const requests: Request[] = []
  const sink = await startPublishSink({
    onPublish: ({ topic, payload }) => {
      const device = topic.split('/').slice(1, 3).join('/')
      const { ts, ...values } = JSON.parse(payload) as Record<string, unknown>
      if (options.forget?.(Number(values['seq']), device) === true) return
      const stored = readings.get(device) ?? new Map<number, Record<string, unknown>>()
      stored.set(microseconds(ts), values)
      readings.set(device, stored)
    },
  })
  const server = createServer((incoming, response) => {
    void readRequest(incoming).then((request) => {
      requests.push(request)
      const answer = options.answer?.(request) ?? route(request, { devices, readings, mqttPort: sink.port, options })
      const type = answer.type ?? (answer.status < 400 ? 'application/json' : 'application/problem+json')
      response.writeHead(answer.status, { 'content-type': type, ...answer.headers })
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await sink.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, devices }
}

/** Runs a command line in this process against the service. */
export async function runAgainst(
  url: string,
  args: readonly string[],
  host: Partial<Host> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const output = { stdout: '', stderr: '' }
  const code = await runCli(args, {
    stdout: (text) => (output.stdout += text),
    stderr: (text) => (output.stderr += text),
    isTerminal: false,
    outputIsTerminal: false,
    colors: false,
    nodeVersion: process.versions.node,
    execPath: process.execPath,
    pid: process.pid,
    env: { SLUICE_URL: url, SLUICE_TOKEN: 'key' },
    interruption: () => new AbortController().signal,
    ...host,
  })
  return { code, ...output }
}

interface State {
  readonly devices: Set<string>
  readonly readings: ReadonlyMap<string, ReadonlyMap<number, Record<string, unknown>>>
  readonly mqttPort: number
  readonly options: FakeOptions
}

function route(request: Request, state: State): Answer {
  const { method, path, body } = request
  const [, , collection, tenant, device, below] = path.split('/')
  if (path === '/v1/status')
    return ok({ version: 'test', mode: 'standalone', mqtt: { host: '127.0.0.1', port: state.mqttPort } })
  if (path === '/readyz') return ok({ ready: true, checks: [] })
  if (path === '/v1/devices/bulk') {
    const { devices } = body as { devices: { tenant: string; device: string }[] }
    const made = devices.map((it) => ({ ...it, username: `${it.tenant}/${it.device}`, secret: 's', token: 't' }))
    for (const { username } of made) state.devices.add(username)
    return { status: 201, body: { devices: made } }
  }
  if (collection !== 'devices') return problem(404, 'not_found', `nothing at ${path}`)
  const key = `${tenant}/${device}`
  if (method === 'DELETE' && state.devices.delete(key)) return { status: 204 }
  if (below === 'readings') return ok(readingsOf(key, request, state))
  return problem(404, 'not_found', `No such device: ${key}.`)
}

function readingsOf(key: string, { query }: Request, { readings, options }: State): unknown {
  const from = Date.parse(query.get('from') ?? '1970-01-01T00:00:00Z') * 1000
  const stored = [...(readings.get(key) ?? [])].filter(([time]) => time >= from).sort(([a], [b]) => a - b)
  const fields = [...new Set(stored.flatMap(([, values]) => Object.keys(values)))]
  const series = fields.map((field): Series => {
    const points = stored
      .filter(([, values]) => field in values)
      .map(([time, values]): [number, unknown] => [time, values[field]])
    return { stream: 'telemetry', field, points }
  })
  // Only the whole is asked for without bounds: samples look for one reading.
  if (!query.has('from')) options.tamper?.(key, series)
  return { series, complete: true, next: null }
}

export function ok(body: unknown): Answer {
  return { status: 200, body }
}

export function problem(status: number, code: string, detail: string): Answer {
  return { status, body: { type: 'about:blank', title: 'problem', status, code, detail, fix: 'Do something.' } }
}

async function readRequest(incoming: IncomingMessage): Promise<Request> {
  let text = ''
  for await (const chunk of incoming) text += String(chunk)
  const url = new URL(incoming.url ?? '/', 'http://localhost')
  const body: unknown = text === '' ? undefined : JSON.parse(text)
  const { authorization } = incoming.headers
  return { method: incoming.method ?? '', path: url.pathname, query: url.searchParams, body, authorization }
}

function microseconds(ts: unknown): number {
  if (typeof ts === 'string') return Date.parse(ts) * 1000
  return Number(ts) < 1e14 ? Number(ts) * 1000 : Number(ts)
}
