import { Writable } from 'node:stream'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { InjectOptions } from 'fastify'
import { pino } from 'pino'
import { expect, onTestFinished } from 'vitest'
import { queryApiSettings } from '../../../config/query-api.ts'
import type { Api, ApiOptions } from '../../../services/query-api/api.ts'
import { createApi } from '../../../services/query-api/app.ts'
import { loadConfig } from '../../../shared/config.ts'
import { WORKER_FEATURES } from '../../../shared/features.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { Readiness, type ReadinessCheck } from '../../../shared/process/readiness.ts'
import { Rates } from '../../../shared/rates.ts'
import { tempFolder } from '../../helpers.ts'
import { MemoryCache, MemoryNodes, MemoryLog, MemoryPoints } from './memory-ports.ts'
import { MemoryRegistry } from './memory-registry.ts'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** The parsed body, where it is JSON. */
  readonly body: Record<string, unknown>
  readonly text: string
}

const queryApiDefaults = loadConfig(queryApiSettings, {})

type Call = (
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  url: string,
  options?: InjectOptions & { token?: string | null },
) => Promise<Answer>

/** An API on fakes in memory, closed with the test. `call` checks every answer against the OpenAPI document. */
export async function openApi({
  checks = [],
  ...overrides
}: Partial<ApiOptions> & { checks?: readonly ReadinessCheck[] } = {}) {
  const ports = {
    log: new MemoryLog(),
    points: new MemoryPoints(),
    registry: new MemoryRegistry(),
    cache: new MemoryCache(),
    nodes: new MemoryNodes(),
  }
  const metrics = createMetrics({ defaults: false })
  const logged: string[] = []
  const sink = new Writable({ write: (chunk, _encoding, done) => (logged.push(String(chunk)), done()) })
  const logger = pino({ level: 'debug' }, sink)
  const readiness = new Readiness({ checks: () => checks, logger, metrics })
  onTestFinished(() => readiness.close())
  let stamped = 0
  const app = await createApi({
    ...ports,
    rates: new Rates(queryApiDefaults),
    stamp: (elements) => ({ ms: 1_767_225_600_000, ns: (stamped += elements), scheme: 1 }),
    status: () => ({ mode: 'standalone', mqtt: { host: '127.0.0.1', port: 1883 }, readings: 0 }),
    readiness,
    workers: async () => [{ id: 'one', host: '10.0.0.1', partitions: [0], features: WORKER_FEATURES }],
    settings: queryApiDefaults,
    build: { version: '0.0.0-test', commit: undefined, node: 'v0.0.0-test' },
    logger,
    metrics,
    publicFolder: tempFolder(),
    ...overrides,
  })
  onTestFinished(() => app.close())
  const token = ports.registry.adminKey
  return { app, ...ports, metrics, logged, token, call: caller(app, token) }
}

/** Calls as the administrator unless told otherwise, and holds every answer against `/docs/json`. */
export function caller(app: Api, adminKey: string): Call {
  const conforms = conformance(app)
  return async (method, url, { token = adminKey, headers, ...rest } = {}) => {
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` }
    const response = await app.inject({ method, url, ...rest, headers: { ...authorization, ...headers } })
    const type = String(response.headers['content-type'] ?? '')
    const body = type.includes('json') ? response.json<Record<string, unknown>>() : {}
    await conforms(method, url, response.statusCode, type, body)
    return { status: response.statusCode, headers: response.headers, body, text: response.payload }
  }
}

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>
}

function conformance(app: Api) {
  let ajv: Ajv2020 | undefined
  const compiled = new Map<string, ValidateFunction>()
  return async (method: string, url: string, status: number, type: string, body: unknown) => {
    await app.ready()
    const document = app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> }
    ajv ??= new Ajv2020({ strict: false, formats: { 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/ } })
    if (ajv.getSchema('api') === undefined) ajv.addSchema(document, 'api')
    const path = url.split('?')[0] ?? ''
    const templates = Object.keys(document.paths)
    const template =
      templates.find((one) => one === path) ??
      templates.find((candidate) => {
        return new RegExp(`^${candidate.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path)
      })
    const operation = document.paths[template ?? '']?.[method.toLowerCase()]
    if (template === undefined || operation === undefined) {
      expect({ url, status }).toEqual({ url, status: 404 })
      return
    }
    const key = [String(status), `${String(status)[0]}XX`].find((candidate) => candidate in operation.responses)
    expect(key, `${method} ${template} does not describe ${status}`).toBeDefined()
    if (status === 204) return
    const media = type.split(';')[0] ?? ''
    expect(Object.keys(operation.responses[key ?? '']?.content ?? {}), `${method} ${template} ${status}`).toContain(
      media,
    )
    if (!media.includes('json')) return
    const escape = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
    const place = ['paths', template, method.toLowerCase(), 'responses', key ?? '', 'content', media, 'schema']
    const $ref = `api#/${place.map(escape).join('/')}`
    const validate = compiled.get($ref) ?? ajv.compile({ $ref })
    compiled.set($ref, validate)
    expect(validate(body), `${method} ${url}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(body)}`).toBe(true)
  }
}
