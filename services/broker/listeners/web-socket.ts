import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import { isLoopback } from '../../../shared/addresses.ts'
import { WebSocketStream } from './web-socket-stream.ts'

export interface WebSocketOptions {
  /** Longest message in bytes. */
  readonly maxPayload: number
  /** Pages of other hosts that may speak; `*` = any. */
  readonly origins: readonly string[]
  /** Only this machine reaches us: a host by another name is one that was made to point here. */
  readonly loopbackOnly: boolean
  /** An upgrade was refused, or something else was asked for. */
  readonly onRefused: (reason: string) => void
}

/** With what the request says in X-Forwarded-For. */
type Opened = (stream: WebSocketStream, forwardedFor: unknown) => void

const MAX_HEADER_BYTES = 8 * 1024
/** The one of the specification, and an older one that some clients of MQTT 3.1 name, as Mosquitto takes it. */
const PROTOCOLS = ['mqtt', 'mqttv3.1']

/**
 * MQTT over WebSocket [MQTT 3.1.1, 6] on every path, with the subprotocol `mqtt` or `mqttv3.1`, no compression. A browser names the
 * page that speaks in `Origin`: pages of the host that is spoken to are let in (some libraries claim to be one), others when they
 * are listed. A client that sends none is not a browser.
 */
export class WebSocketEndpoint {
  readonly #http: Server
  readonly #upgrader: WebSocketServer
  readonly #options: WebSocketOptions
  readonly #opened = new WeakMap<object, Opened>()

  constructor(options: WebSocketOptions) {
    this.#options = options
    this.#upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: options.maxPayload,
      handleProtocols: (offered) => PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
    })
    // Sockets are given to it; it never listens, and the admission keeps the time.
    this.#http = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (_request, response) => {
      options.onRefused('no upgrade')
      response.writeHead(426, { Connection: 'close', Upgrade: 'websocket' }).end('MQTT over WebSocket only\n')
    })
    this.#http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    )
    this.#http.on('clientError', (error, socket) => {
      options.onRefused(error.message)
      socket.destroy()
    })
  }

  /** Takes a connection, TLS or not; `opened` is called when it has become a WebSocket. */
  upgrade(socket: Socket, opened: Opened): void {
    this.#opened.set(socket, opened)
    this.#http.emit('connection', socket)
  }

  close(): void {
    this.#upgrader.close()
    this.#http.close()
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const refused = this.#refusal(request)
    if (refused !== undefined) {
      this.#options.onRefused(refused.reason)
      const line = `HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status] ?? ''}`
      socket.end(`${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy())
      return
    }
    this.#upgrader.handleUpgrade(request, socket, head, (webSocket) => {
      this.#opened.get(socket)?.(new WebSocketStream(webSocket), request.headers['x-forwarded-for'])
    })
  }

  #refusal({ headers }: IncomingMessage): { status: number; reason: string } | undefined {
    if (headers.origin !== undefined && !this.#mayCome(headers.origin, headers.host ?? '')) {
      return { status: 403, reason: `the origin ${headers.origin.slice(0, 100)} is not listed` }
    }
    // [MQTT-6.0.0-3]
    const protocols = headers['sec-websocket-protocol']?.split(',').map((protocol) => protocol.trim()) ?? []
    const isOurs = protocols.some((protocol) => PROTOCOLS.includes(protocol))
    return isOurs ? undefined : { status: 400, reason: 'the subprotocol is not mqtt' }
  }

  #mayCome(origin: string, host: string): boolean {
    const { origins, loopbackOnly } = this.#options
    if (origins.includes('*') || origins.includes(origin)) return true
    const page = hostnameOf(origin)
    return page !== undefined && page === hostnameOf(`http://${host}`) && (!loopbackOnly || isLoopback(page))
  }
}

function hostnameOf(url: string): string | undefined {
  return URL.parse(url)?.hostname.replace(/^\[(.*)\]$/, '$1')
}
