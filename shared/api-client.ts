import * as http from 'node:http'
import * as https from 'node:https'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { isErrorCode, SluiceError } from './errors.ts'

export type QueryValues = Readonly<Record<string, string | number | undefined>>

interface Problem {
  readonly code?: string
  readonly detail?: string
  readonly title?: string
  readonly fix?: string
}

/** Waits for a rate limit at most this often, and at most so long each time. */
const MAX_RATE_LIMIT_WAITS = 5
const MAX_WAIT_SECONDS = 30
/** A request that is not a stream and takes longer does not come back. */
const TIMEOUT_MS = 60_000

/**
 * The HTTP API with its errors as SluiceErrors: those of a problem+json answer keep their code, `api_unreachable` is
 * for an API that does not answer, `command_failed` for an answer that is not one of Sluice's.
 */
export class ApiClient {
  readonly url: URL
  readonly #token: string

  constructor(options: { url: string; token: string }) {
    this.url = parseUrl(options.url)
    this.#token = options.token
  }

  async get<T>(path: string, query?: QueryValues): Promise<T> {
    return this.#json<T>(await this.#request('GET', path, { query }))
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return this.#json<T>(await this.#request('POST', path, { body }))
  }

  async put<T>(path: string, body: unknown): Promise<T> {
    return this.#json<T>(await this.#request('PUT', path, { body }))
  }

  async delete(path: string): Promise<void> {
    const response = await this.#request('DELETE', path, {})
    await response.body?.cancel()
  }

  /** An answer of any status, for health checks. Error: `api_unreachable`. */
  async probe(path: string): Promise<{ status: number; body: unknown }> {
    const response = await this.#send('GET', path, {})
    const text = await response.text()
    return { status: response.status, body: isJson(response) ? JSON.parse(text) : text }
  }

  /** The body of an answer without end, in pieces as they come, until `signal`. */
  async stream(
    path: string,
    query: QueryValues,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const response = await this.#request('GET', path, { query, signal })
    if (response.body === null) throw new SluiceError('command_failed', `${path} answered with an empty body`)
    return response.body
  }

  /**
   * What a POST answers with, as it comes, however long that takes: `fetch` gives up after five minutes of silence. The
   * stream is destroyed with an error when it breaks off.
   */
  async download(path: string, body: unknown): Promise<Readable> {
    const url = new URL(path, this.url)
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' }
    const request = url.protocol === 'https:' ? https.request : http.request
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
    request(url, { method: 'POST', headers }, resolve)
      .once('error', (error) => reject(unreachable(this.url, error)))
      .end(JSON.stringify(body))
    const answer = await promise
    if (answer.statusCode === 200) return answer
    const parts: Buffer[] = []
    for await (const part of answer as AsyncIterable<Buffer>) parts.push(part)
    const type = answer.headers['content-type'] ?? ''
    const status = answer.statusCode ?? 500
    throw await problemOf(new Response(Buffer.concat(parts), { status, headers: { 'content-type': type } }))
  }

  async #json<T>(response: Response): Promise<T> {
    if (!isJson(response)) {
      throw new SluiceError('command_failed', `${this.url.origin} does not answer like Sluice: is it another server?`)
    }
    // The server is of the same version line (/v1) as this client; what is read back as proof is checked by its reader.
    return (await response.json()) as T
  }

  async #request(method: string, path: string, options: RequestOptions): Promise<Response> {
    for (let waits = 0; ; waits += 1) {
      const response = await this.#send(method, path, options)
      if (response.ok) return response
      const error = await problemOf(response)
      if (response.status !== 429 || waits >= MAX_RATE_LIMIT_WAITS) throw error
      const seconds = Number(response.headers.get('retry-after') ?? 1)
      await delay(Math.min(Number.isFinite(seconds) ? seconds : 1, MAX_WAIT_SECONDS) * 1000)
    }
  }

  async #send(method: string, path: string, { query, body, signal }: RequestOptions): Promise<Response> {
    const url = new URL(path, this.url)
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` }
    if (body !== undefined) headers['content-type'] = 'application/json'
    const init = { method, headers, signal: signal ?? AbortSignal.timeout(TIMEOUT_MS) }
    try {
      return await fetch(url, body === undefined ? init : { ...init, body: JSON.stringify(body) })
    } catch (error) {
      signal?.throwIfAborted()
      throw unreachable(this.url, error)
    }
  }
}

interface RequestOptions {
  readonly query?: QueryValues | undefined
  readonly body?: unknown
  readonly signal?: AbortSignal
}

/** Path of a device, or of something below it. */
export function devicePath(tenant: string, device: string, below = ''): string {
  return `/v1/devices/${encodeURIComponent(tenant)}/${encodeURIComponent(device)}${below}`
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new SluiceError('setting_invalid', `"${text}" is not a URL like http://127.0.0.1:8080 (--url, SLUICE_URL)`)
}

function isJson(response: Response): boolean {
  return /^application\/([a-z.+-]+\+)?json\b/.test(response.headers.get('content-type') ?? '')
}

async function problemOf(response: Response): Promise<SluiceError> {
  const problem: Problem = isJson(response) ? ((await response.json()) as Problem) : { title: await response.text() }
  const detail = problem.detail ?? problem.title ?? ''
  const code = problem.code
  if (code !== undefined && isErrorCode(code)) return new SluiceError(code, detail)
  return new SluiceError(
    'command_failed',
    `HTTP ${response.status}: ${[detail, problem.fix].filter(Boolean).join(' ')}`,
  )
}

function unreachable(url: URL, cause: unknown): SluiceError {
  return new SluiceError('api_unreachable', `no answer from ${url.origin} (${reasonOf(cause)})`, { cause })
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : undefined
  if (cause instanceof Error && 'code' in cause) return String(cause.code)
  if (cause instanceof Error) return cause.message
  return error instanceof Error ? error.message : String(error)
}
