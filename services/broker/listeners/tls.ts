import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { toSluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { loadTlsMaterial, normalSerial, ticketKeys, type TlsMaterial, type TlsSettings } from './tls-material.ts'

export interface TlsOptions {
  readonly settings: TlsSettings
  /** Seals session tickets; the same on every node that shares them. */
  readonly ticketSecret: Uint8Array
  readonly logger: Logger
  /** A handshake failed, or a client certificate was refused (`who` = its common name). */
  readonly onFailed: (failure: TlsFailure) => void
}

export interface TlsFailure {
  readonly why: 'tls_failed' | 'certificate_refused'
  readonly reason: string
  readonly who: string
}

/** What {@link TlsEndpoint.secure} hands on. `certificateName` is there when a client certificate was verified. */
export type OnSecure = (socket: TLSSocket, certificateName: string | undefined) => void

export interface TlsCounts {
  full: number
  resumed: number
  reloads: number
  failedReloads: number
}

const HANDSHAKE_MS = 10_000
/** Files are read again so often. They are small, and so every way of replacing them is seen, on every file system. */
const RELOAD_MS = 2_000

/** TLS for connections that others accepted, with files that may be replaced at any time. */
export class TlsEndpoint {
  readonly counts: TlsCounts = { full: 0, resumed: 0, reloads: 0, failedReloads: 0 }
  readonly #options: TlsOptions
  readonly #server: Server
  /** Connections in their handshake, by their addresses: all that a TLS socket tells of the one below it. */
  readonly #pending = new Map<string, OnSecure>()
  /** Clients with a certificate, by its serial number. */
  readonly #certified = new Map<TLSSocket, string>()
  readonly #reload: NodeJS.Timeout
  #material: TlsMaterial
  /** Of the last reload that failed, so that it is told once. */
  #failedWith: string | undefined
  #keys: Buffer
  #isReloading = false

  /** Reads the files. Error: `setting_invalid`. */
  static async open(options: TlsOptions): Promise<TlsEndpoint> {
    return new TlsEndpoint(options, await loadTlsMaterial(options.settings))
  }

  private constructor(options: TlsOptions, material: TlsMaterial) {
    this.#options = options
    this.#material = material
    this.#keys = ticketKeys(options.ticketSecret, Date.now())
    this.#server = createServer({
      ...material.options,
      ticketKeys: this.#keys,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      handshakeTimeout: HANDSHAKE_MS,
      requestCert: options.settings.MQTT_TLS_CLIENT_AUTH !== 'none',
      // Refused below, where it can be told and counted.
      rejectUnauthorized: false,
    })
    this.#server.on('secureConnection', (socket) => this.#onSecure(socket))
    this.#server.on('tlsClientError', (error) =>
      options.onFailed({ why: 'tls_failed', reason: error.message, who: '' }),
    )
    this.#reload = setInterval(() => void this.reload(), RELOAD_MS)
  }

  get expiry(): TlsMaterial['expiry'] {
    return this.#material.expiry
  }

  /** Begins TLS on a connection; `secured` is called unless the handshake fails. */
  secure(socket: Socket, secured: OnSecure): void {
    const key = addressesOf(socket)
    this.#pending.set(key, secured)
    socket.once('close', () => this.#pending.delete(key))
    this.#server.emit('connection', socket)
  }

  /**
   * Reads the files again: when they changed and are good, new handshakes use them; what is wrong with them is logged
   * once, and the old ones stay. Open connections stay, but for those whose certificate is revoked now. Never rejects.
   */
  async reload(): Promise<void> {
    if (this.#isReloading) return
    this.#isReloading = true
    try {
      const material = await loadTlsMaterial(this.#options.settings)
      this.#failedWith = undefined
      if (material.digest !== this.#material.digest) this.#swap(material)
    } catch (error) {
      this.#tellFailure(error)
    } finally {
      this.#isReloading = false
    }
    this.#rotateTickets()
  }

  close(): void {
    clearInterval(this.#reload)
    this.#server.close()
  }

  #swap(material: TlsMaterial): void {
    const { sessionIdContext } = material.options
    this.#server.setSecureContext({ ...material.options, sessionIdContext, ...this.#kept() })
    this.#material = material
    this.counts.reloads += 1
    const expires = Object.fromEntries([...material.expiry].map(([name, ms]) => [name, new Date(ms).toISOString()]))
    this.#options.logger.info({ expires }, 'TLS certificates reloaded')
    for (const [socket, serial] of this.#certified) {
      if (!material.revoked.has(serial)) continue
      this.#refuse(socket, 'the certificate was revoked')
    }
  }

  #kept() {
    return { ticketKeys: this.#keys, secureOptions: constants.SSL_OP_NO_RENEGOTIATION }
  }

  #tellFailure(error: unknown): void {
    const { message } = toSluiceError(error)
    if (this.#failedWith === message) return
    this.#failedWith = message
    this.counts.failedReloads += 1
    this.#options.logger.error(
      { reason: message },
      'TLS certificates could not be reloaded; the previous ones stay in use',
    )
  }

  #rotateTickets(): void {
    const keys = ticketKeys(this.#options.ticketSecret, Date.now())
    if (keys.equals(this.#keys)) return
    this.#keys = keys
    this.#server.setTicketKeys(keys)
  }

  #onSecure(socket: TLSSocket): void {
    const key = addressesOf(socket)
    const secured = this.#pending.get(key)
    this.#pending.delete(key)
    // Without an address the client has gone already.
    if (secured === undefined) return void socket.destroy()
    const isResumed = socket.isSessionReused()
    this.counts[isResumed ? 'resumed' : 'full'] += 1
    if (this.#options.settings.MQTT_TLS_CLIENT_AUTH === 'none') return secured(socket, undefined)
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) {
      if (this.#options.settings.MQTT_TLS_CLIENT_AUTH === 'request') return secured(socket, undefined)
      return this.#refuse(socket, 'a client certificate is required')
    }
    if (!socket.authorized) return this.#refuse(socket, String(socket.authorizationError))
    // A resumed session was verified when it began, which may be a day ago.
    if (isResumed && certificate.validToDate.getTime() <= Date.now()) return this.#refuse(socket, 'CERT_HAS_EXPIRED')
    this.#certified.set(socket, normalSerial(certificate.serialNumber))
    socket.once('close', () => this.#certified.delete(socket))
    secured(socket, commonName(socket))
  }

  #refuse(socket: TLSSocket, reason: string): void {
    this.#options.onFailed({ why: 'certificate_refused', reason, who: commonName(socket) })
    socket.destroy()
  }
}

/** Empty when there is none, or more than one. */
function commonName(socket: TLSSocket): string {
  // Of a client without certificate it is empty, whatever the types say.
  const subject: { CN?: string | string[] } | undefined = socket.getPeerCertificate().subject
  const name = subject?.CN
  return typeof name === 'string' ? name : ''
}

function addressesOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}
