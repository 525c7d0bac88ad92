import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { BrokerSettings } from '../../../config/broker.ts'
import { SluiceError, type ErrorCode } from '../../../shared/errors.ts'
import { Releasers } from '../../../shared/process/releasers.ts'
import type { Address } from '../../../shared/process/listen.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import type { Metrics } from '../../../shared/process/metrics.ts'
import type { Origin } from './origin.ts'
import { Admission } from './admission.ts'
import { clientAddress, isLoopback, networksOf, withoutMapping } from '../../../shared/addresses.ts'
import { exposeListeners } from './listener-metrics.ts'
import { readProxyHeader } from './proxy-reader.ts'
import { openPort } from './tcp.ts'
import { TlsEndpoint, type TlsFailure } from './tls.ts'
import { WebSocketEndpoint } from './web-socket.ts'

export type ListenerKind = Origin['listener']

/** Where each listener that is on can be reached; `mqtt` is TCP. */
export interface ListenerAddresses {
  readonly mqtt: Address
  readonly tls?: Address
  readonly ws?: Address
  readonly wss?: Address
}

export interface Listeners {
  readonly addresses: ListenerAddresses
  /** Accepts nothing more, and closes what does not speak MQTT yet. */
  close(): Promise<void>
}

export interface ListenerOptions {
  readonly settings: BrokerSettings
  readonly logger: Logger
  readonly metrics: Metrics
  /** A client that begins to speak MQTT. */
  readonly onConnection: (stream: Duplex, origin: Origin) => void
  /** Whether too many logins from this address have failed lately: its connections wait for their turn. */
  readonly isGuessing: (address: string) => boolean
  /** A client that its certificate does not let in. */
  readonly onRefused: (code: ErrorCode, detail: string, who: string) => void
}

/** A message of a WebSocket may hold several packets; this much in addition to the longest. */
const PAYLOAD_ROOM = 64 * 1024
const MIN_TICKET_SECRET = 32

/** Opens every listener that the settings ask for. Errors: `port_in_use`, `setting_invalid`. */
export async function openListeners(options: ListenerOptions): Promise<Listeners> {
  const releasers = new Releasers((part, error) => options.logger.error({ err: error, part }, 'closing failed'))
  try {
    const front = await Front.open(options, releasers)
    const { BIND_ADDRESS: host, MQTT_REUSE_PORT: reuse, ...settings } = options.settings
    const open = async (kind: ListenerKind, port: number, setting: string): Promise<Address> => {
      const portOptions = { host, port, setting, reusePort: reuse === 'on' }
      const opened = await openPort(portOptions, (socket) => front.arrive(kind, socket))
      return releasers.own(`listener ${kind}`, opened, (it) => it.close()).address
    }
    const hasTls = settings.MQTT_TLS_CERT_FILE !== undefined
    const { MQTT_WS_PORT: ws, MQTT_WSS_PORT: wss } = settings
    const addresses = {
      mqtt: await open('tcp', settings.MQTT_PORT, 'MQTT_PORT'),
      ...(hasTls ? { tls: await open('tls', settings.MQTT_TLS_PORT, 'MQTT_TLS_PORT') } : {}),
      ...(ws === undefined ? {} : { ws: await open('ws', ws, 'MQTT_WS_PORT') }),
      ...(wss === undefined ? {} : { wss: await open('wss', wss, 'MQTT_WSS_PORT') }),
    }
    return { addresses, close: () => releasers.close() }
  } catch (error) {
    await releasers.close()
    throw error
  }
}

/** Settings that contradict each other. Error: `setting_invalid`. */
export function checkListenerSettings(settings: BrokerSettings): void {
  const refuse = (message: string) => new SluiceError('setting_invalid', message)
  const hasTls = settings.MQTT_TLS_CERT_FILE !== undefined
  if (settings.MQTT_WSS_PORT !== undefined && !hasTls) throw refuse('MQTT_WSS_PORT: needs MQTT_TLS_CERT_FILE')
  if (settings.MQTT_TLS_CLIENT_AUTH !== 'none' && !hasTls) {
    throw refuse('MQTT_TLS_CLIENT_AUTH: needs MQTT_TLS_CERT_FILE')
  }
  if ((settings.MQTT_TLS_TICKET_KEY?.length ?? MIN_TICKET_SECRET) < MIN_TICKET_SECRET) {
    throw refuse(`MQTT_TLS_TICKET_KEY: has fewer than ${MIN_TICKET_SECRET} characters`)
  }
  if (settings.MQTT_PROXY_PROTOCOL === 'on' && settings.MQTT_PROXY_FROM.length === 0) {
    throw refuse('MQTT_PROXY_PROTOCOL: needs MQTT_PROXY_FROM, because any client could claim any address')
  }
  if (settings.MQTT_ANONYMOUS_AS === undefined) return
  if (!isLoopback(settings.BIND_ADDRESS))
    throw refuse('MQTT_ANONYMOUS_AS: anonymous clients are accepted on loopback only')
  if (settings.MQTT_PROXY_PROTOCOL === 'on' || settings.MQTT_PROXY_FROM.length > 0)
    throw refuse('MQTT_ANONYMOUS_AS: cannot be combined with MQTT_PROXY_PROTOCOL or MQTT_PROXY_FROM')
}

/** The steps from an accepted socket to a client: its turn, PROXY header, limits of its address, TLS, WebSocket. */
class Front {
  readonly #options: ListenerOptions
  readonly #admission: Admission
  readonly #tls: TlsEndpoint | undefined
  readonly #webSocket: WebSocketEndpoint
  readonly #isProxy: (address: string) => boolean
  /** Whether connections begin with a PROXY header. */
  readonly #hasHeaders: boolean
  readonly #accepted = new Map<ListenerKind, number>()
  readonly #onError = (error: Error): void => this.#options.logger.debug({ reason: error.message }, 'socket error')

  static async open(options: ListenerOptions, releasers: Releasers): Promise<Front> {
    const { settings, logger } = options
    const limits = {
      connections: settings.MAX_CONNECTIONS,
      perAddress: settings.MAX_CONNECTIONS_PER_ADDRESS,
      perSecond: settings.MAX_HANDSHAKES_PER_SECOND,
      isGuessing: options.isGuessing,
    }
    const admission = releasers.own('admission', new Admission(limits), (it) => it.close())
    if (settings.MQTT_TLS_CERT_FILE === undefined) return new Front(options, admission, undefined, releasers)
    const ticketSecret =
      settings.MQTT_TLS_TICKET_KEY === undefined ? randomBytes(32) : Buffer.from(settings.MQTT_TLS_TICKET_KEY)
    const onFailed = ({ why, reason, who }: TlsFailure): void => {
      admission.count(why)
      if (why === 'certificate_refused') options.onRefused(why, reason, who)
    }
    const tls = await TlsEndpoint.open({ settings, ticketSecret, logger, onFailed })
    return new Front(
      options,
      admission,
      releasers.own('tls', tls, (it) => it.close()),
      releasers,
    )
  }

  private constructor(
    options: ListenerOptions,
    admission: Admission,
    tls: TlsEndpoint | undefined,
    releasers: Releasers,
  ) {
    this.#options = options
    this.#admission = admission
    this.#tls = tls
    const { settings, metrics } = options
    const webSocket = new WebSocketEndpoint({
      maxPayload: settings.MAX_PACKET_BYTES + PAYLOAD_ROOM,
      origins: settings.MQTT_WS_ORIGINS,
      loopbackOnly: isLoopback(settings.BIND_ADDRESS),
      onRefused: () => admission.count('websocket_refused'),
    })
    this.#webSocket = releasers.own('web sockets', webSocket, (it) => it.close())
    this.#isProxy = networksOf(settings.MQTT_PROXY_FROM)
    this.#hasHeaders = settings.MQTT_PROXY_PROTOCOL === 'on'
    exposeListeners({ admission, tls, accepted: this.#accepted }, metrics)
  }

  arrive(kind: ListenerKind, socket: Socket): void {
    const peer = withoutMapping(socket.remoteAddress ?? '')
    // It has gone already.
    if (peer === '') return void socket.destroy()
    this.#listenToErrors(socket)
    const isProxy = this.#isProxy(peer)
    if (this.#hasHeaders && !isProxy) return this.#admission.turnAway(socket, 'proxy_unlisted')
    // A proxy of HTTP has no PROXY header; whom it speaks for is said by the upgrade.
    const speaksFor = isProxy && (this.#hasHeaders || kind === 'ws' || kind === 'wss')
    this.#admission.arrive(socket, speaksFor || isLoopback(peer), () => {
      if (!speaksFor) return this.#enter(kind, socket, peer)
      if (!this.#hasHeaders) return this.#begin(kind, socket, peer)
      readProxyHeader(
        socket,
        // Without an address it is the proxy that asks whether we are there.
        (address) => this.#enter(kind, socket, address, peer),
        () => this.#admission.turnAway(socket, 'proxy_invalid'),
      )
    })
  }

  #enter(kind: ListenerKind, socket: Socket, address: string | undefined, proxy = ''): void {
    if (address === undefined) return this.#begin(kind, socket, proxy)
    this.#admission.enter(socket, address, () => this.#begin(kind, socket, address))
  }

  #begin(kind: ListenerKind, socket: Socket, remoteAddress: string): void {
    const open = (stream: Duplex, certificateName?: string, address = remoteAddress): void => {
      this.#admission.complete(socket)
      this.#accepted.set(kind, (this.#accepted.get(kind) ?? 0) + 1)
      const origin = {
        listener: kind,
        remoteAddress: address,
        ...(certificateName === undefined ? {} : { certificateName }),
      }
      this.#options.onConnection(stream, origin)
    }
    if (kind === 'tcp') return open(socket)
    const upgrade = (under: Socket, name?: string): void =>
      this.#webSocket.upgrade(under, (stream, forwardedFor) => {
        this.#enterBehind(socket, remoteAddress, forwardedFor, (address) => open(stream, name, address))
      })
    if (kind === 'ws') return upgrade(socket)
    this.#tls?.secure(socket, (secure, name) => {
      this.#listenToErrors(secure)
      if (kind === 'tls') return open(secure, name)
      upgrade(secure, name)
    })
  }

  /** The client of a WebSocket that came through a proxy of HTTP: from here on its own address counts, and has its limits. */
  #enterBehind(socket: Socket, peer: string, forwardedFor: unknown, open: (address: string) => void): void {
    const address = this.#hasHeaders ? peer : clientAddress(peer, forwardedFor, this.#isProxy)
    if (address === peer) return open(peer)
    this.#admission.enter(socket, address, () => open(address))
  }

  /** From the first moment: a connection that is reset without a listener would end the process. */
  #listenToErrors(socket: Socket): void {
    socket.on('error', this.#onError)
  }
}
