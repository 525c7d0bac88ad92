import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent, type AgentOptions } from 'node:https'
import { HttpError, InfluxDB, type SendOptions } from '@influxdata/influxdb-client'
import { SluiceError } from '../../errors.ts'
import { InfluxRefusal, toStoreError } from './answers.ts'
import type { InfluxMetrics } from './metrics.ts'

/** InfluxDB itself gives a write up after 10 s (`storage-write-timeout`). */
const WRITE_TIMEOUT_MS = 10_000
/** The first byte of an answer to a query may take a while; a query that nobody wants any longer is not to stay. */
const OTHER_TIMEOUT_MS = 60_000

/** One write at a time, and queries beside it; more of them wait for a socket. */
const MAX_SOCKETS = 16

export interface ConnectionOptions {
  readonly url: string
  readonly ca?: (() => string) | undefined
  readonly token: () => string
  readonly metrics: InfluxMetrics
}

interface Request {
  /** For errors and metrics. */
  readonly what: 'write' | 'query' | 'delete' | 'setup'
  readonly method: 'GET' | 'POST' | 'PATCH'
  readonly path: string
  readonly body?: string
  readonly contentType?: string
}

/**
 * The client's transport without its retries, and without its own timeout, which would leave the request running: a
 * request that ends by a signal is destroyed. Errors are those of {@link toStoreError}, and `closed`.
 */
export class InfluxConnection {
  readonly #options: ConnectionOptions
  readonly #agent: HttpAgent | HttpsAgent
  readonly #ending = new AbortController()
  #token: string
  #client: InfluxDB

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#agent = agentFor(options)
    this.#token = options.token()
    this.#client = this.#clientWith(this.#token)
  }

  /** Resolves with the decoded answer: an object for JSON, undefined for 204. */
  async send(request: Request): Promise<unknown> {
    const timeoutMs = request.what === 'write' ? WRITE_TIMEOUT_MS : OTHER_TIMEOUT_MS
    return this.#authorised(request, () =>
      this.#within(timeoutMs, undefined, async (signal) => {
        const { path, body = '' } = request
        // The transport says `any` of what it decoded.
        const answer: unknown = await this.#client.transport.request(path, body, toSendOptions(request, signal))
        this.#options.metrics.answered(request.what, answer === undefined ? 204 : 200)
        return answer
      }),
    )
  }

  /** The bytes of an answer as they come, given to `read`, which may leave early; `cancel` ends it. */
  async stream<T>(
    request: Request,
    read: (chunks: AsyncIterable<Uint8Array>) => Promise<T>,
    cancel?: AbortSignal,
  ): Promise<T> {
    return this.#authorised(request, () =>
      this.#within(OTHER_TIMEOUT_MS, cancel, async (signal) => {
        const { path, body = '' } = request
        const result = await read(this.#client.transport.iterate(path, body, toSendOptions(request, signal)))
        this.#options.metrics.answered(request.what, 200)
        return result
      }),
    )
  }

  /** Ends what is under way, with `closed`. */
  close(): void {
    this.#ending.abort()
    this.#agent.destroy()
  }

  /** A token that is refused is read anew, and the request repeated once if it is another one now. */
  async #authorised<T>(request: Request, attempt: () => Promise<T>): Promise<T> {
    // Of requests side by side that are all refused, the first reads the new one: the others compare with what they sent.
    const refused = this.#token
    try {
      return await this.#reported(request, attempt)
    } catch (error) {
      if (!(error instanceof SluiceError) || error.code !== 'store_unauthorised') throw error
      const token = this.#options.token()
      if (token === refused) throw error
      if (token !== this.#token) {
        this.#token = token
        this.#client = this.#clientWith(token)
      }
      return this.#reported(request, attempt)
    }
  }

  async #reported<T>({ what }: Request, attempt: () => Promise<T>): Promise<T> {
    if (this.#ending.signal.aborted) throw new SluiceError('closed', 'the point store is closed')
    try {
      return await attempt()
    } catch (error) {
      if (this.#ending.signal.aborted) throw new SluiceError('closed', 'the point store is closed', { cause: error })
      const failure = toStoreError(error, what)
      if (error instanceof HttpError) this.#options.metrics.answered(what, error.statusCode)
      else if (!(error instanceof InfluxRefusal)) this.#options.metrics.answered(what, undefined)
      throw failure
    }
  }

  /** With a signal of its own for each request: the transport adds listeners to it and never takes them away. */
  async #within<T>(
    timeoutMs: number,
    cancel: AbortSignal | undefined,
    attempt: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const limit = new AbortController()
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      limit.abort()
    }, timeoutMs)
    const onEnd = () => limit.abort()
    const ends = [this.#ending.signal, ...(cancel === undefined ? [] : [cancel])]
    for (const end of ends) end.addEventListener('abort', onEnd, { once: true })
    if (cancel?.aborted === true) onEnd()
    try {
      return await attempt(limit.signal)
    } catch (error) {
      if (!timedOut) throw error
      const detail = `InfluxDB did not answer within ${timeoutMs / 1000} s`
      throw new SluiceError('store_unavailable', detail, { cause: error })
    } finally {
      clearTimeout(timer)
      for (const end of ends) end.removeEventListener('abort', onEnd)
    }
  }

  #clientWith(token: string): InfluxDB {
    return new InfluxDB({ url: this.#options.url, token, timeout: 0, transportOptions: { agent: this.#agent } })
  }
}

/** Error: `setting_invalid`. */
function agentFor({ url, ca }: ConnectionOptions): HttpAgent | HttpsAgent {
  const limits = { keepAlive: true, maxSockets: MAX_SOCKETS }
  if (url.startsWith('https:')) return ca === undefined ? new HttpsAgent(limits) : new TrustingAgent(ca, limits)
  if (ca === undefined) return new HttpAgent(limits)
  throw new SluiceError('setting_invalid', 'INFLUX_CA_FILE: is set, and INFLUX_URL is not https')
}

/** Asks at each connection whom to believe. */
class TrustingAgent extends HttpsAgent {
  readonly #ca: () => string

  constructor(ca: () => string, options: AgentOptions) {
    super(options)
    this.#ca = ca
  }

  override createConnection(...[options, onCreated]: Parameters<HttpsAgent['createConnection']>) {
    return super.createConnection({ ...options, ca: this.#ca() }, onCreated)
  }
}

function toSendOptions({ method, contentType = 'application/json' }: Request, signal: AbortSignal): SendOptions {
  return { method, headers: { 'content-type': contentType }, signal }
}
