import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Counter } from 'prom-client'
import { isLoopback, siteOf } from '../addresses.ts'
import { SiteCounts } from '../site-counts.ts'
import { gaugeOf, type Metrics } from './metrics.ts'
import { TCP_KEEPALIVE } from './listen.ts'

/** For the header of a request, from its first byte or, of a new connection, from its beginning. */
const HEADER_MS = 10_000
const CHECK_MS = 1_000
/** A connection on which nothing moves while it is answered: its client has gone or does not read. */
export const STALLED_MS = 120_000

export interface HttpLimits {
  /** Begins the names of the metrics: the API's, or those of the operations port. */
  readonly listener: 'http' | 'ops'
  /** Open at a time. */
  readonly connections: number
  /** Of one address (IPv6: one /64), loopback excepted; 0 = no limit. */
  readonly perAddress: number
  /** Addresses of proxies, which have no such limit. */
  readonly isExempt?: (address: string) => boolean
  /** For the header and the body of a request together. */
  readonly requestMs: number
}

/** Why a connection was closed that its client would have kept. */
type Turned = 'displaced' | 'full' | 'address_full' | 'too_slow'

/** Options of Node's server that hold the time limits: absolute, so that one byte now and then does not prolong them. */
export function httpTimeouts({ requestMs }: Pick<HttpLimits, 'requestMs'>) {
  const http = {
    headersTimeout: Math.min(HEADER_MS, requestMs),
    requestTimeout: requestMs,
    connectionsCheckingInterval: CHECK_MS,
  } satisfies ServerOptions
  return { http, requestTimeout: requestMs, connectionTimeout: STALLED_MS }
}

/**
 * The connections of an HTTP server. When there are too many, a new one takes the place of the one that has done nothing for
 * longest: one that never sent a request, sent one without a valid token, or waits for its next. So whoever holds
 * connections open shuts nobody out; a request whose caller is known is never cut for a newcomer.
 */
export class HttpConnections {
  readonly #limits: HttpLimits
  readonly #open = new Set<Socket>()
  /** May be displaced; what did something last is last. */
  readonly #idle = new Set<Socket>()
  readonly #perSite: SiteCounts
  readonly #turned: Counter<'reason'>

  constructor(server: Server, limits: HttpLimits, metrics: Metrics) {
    this.#limits = limits
    this.#perSite = new SiteCounts(limits.perAddress)
    const { listener } = limits
    const where = listener === 'ops' ? ', on OPS_PORT' : ''
    gaugeOf(metrics, `sluice_${listener}_connections`, `Open HTTP connections${where}`, () => this.#open.size)
    const help =
      'HTTP connections closed: displaced (idle, for a new one), full (none was idle), address_full, too_slow ' +
      `(header or request)${where}`
    this.#turned = new Counter({
      name: `sluice_${listener}_connections_turned_away_total`,
      help,
      labelNames: ['reason'],
      registers: [metrics],
    })
    server.on('connection', (socket: Socket) => this.#arrive(socket.setKeepAlive(TCP_KEEPALIVE)))
    server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#begin(request.socket, response))
    server.on('clientError', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') this.#turned.inc({ reason: 'too_slow' })
    })
  }

  /** The caller of the request in progress is known: its connection is kept until the answer is done. */
  keep(socket: Socket): void {
    this.#idle.delete(socket)
  }

  #arrive(socket: Socket): void {
    const { connections, perAddress, isExempt } = this.#limits
    const address = socket.remoteAddress ?? ''
    const isFree = perAddress === 0 || isLoopback(address) || isExempt?.(address) === true
    const site = isFree ? undefined : siteOf(address)
    const giveBack = site === undefined ? () => {} : this.#perSite.take(site)
    if (giveBack === undefined) return this.#turnAway(socket, 'address_full')
    socket.once('close', giveBack)
    if (this.#open.size >= connections) {
      const [oldest] = this.#idle
      if (oldest === undefined) return this.#turnAway(socket, 'full')
      this.#leave(oldest)
      this.#turnAway(oldest, 'displaced')
    }
    this.#open.add(socket)
    this.#idle.add(socket)
    socket.once('close', () => this.#leave(socket))
  }

  #begin(socket: Socket, response: ServerResponse): void {
    this.#moveToEnd(socket)
    response.once('close', () => this.#moveToEnd(socket))
  }

  #moveToEnd(socket: Socket): void {
    this.#idle.delete(socket)
    if (this.#open.has(socket)) this.#idle.add(socket)
  }

  #leave(socket: Socket): void {
    this.#open.delete(socket)
    this.#idle.delete(socket)
  }

  #turnAway(socket: Socket, reason: Turned): void {
    this.#turned.inc({ reason })
    socket.resetAndDestroy()
  }
}
