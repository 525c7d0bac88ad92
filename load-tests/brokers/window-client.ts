import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import {
  connectPacket,
  DISCONNECT,
  PACKET,
  PINGREQ,
  publishPacket,
  writeReply,
} from '../../shared/mqtt/client-packets.ts'

export interface CertificateFiles {
  readonly certificateFile: string
  readonly keyFile: string
  /** Who signed the certificate. */
  readonly authorityFile: string
}

export interface LoadSpec {
  readonly port: number
  /** Speaks TLS and checks the certificate by this. */
  readonly authorityFile?: string
  readonly qos: 0 | 1 | 2
  readonly clients: number
  /** Messages that go out together and are answered before the next. */
  readonly inFlight: number
  /** Over all clients. */
  readonly messages: number
}

/** Login of client number `index`; the same on every broker that is compared. */
export function loginOf(index: number): { readonly username: string; readonly secret: string } {
  return { username: `bench/${index}`, secret: `secret-${index}` }
}

const PAYLOAD = JSON.stringify({ temperature: 21.5, humidity: 40.25, pressure: 1013.2, battery: 3.71, seq: 1234567 })
const CONNACK_BYTES = 4
const ACK_BYTES = 4
const PINGRESP_BYTES = 2

/**
 * A client that sends its messages in windows: all of one in one write, the next when the last is answered whole (at
 * QoS 0 by the answer to a PING behind it). It costs next to nothing, which leaves the machine to the broker.
 */
export class WindowClient {
  readonly #spec: LoadSpec
  readonly #socket: Socket
  readonly #batch: Buffer
  readonly #release: Buffer
  #wanted = CONNACK_BYTES
  /** Who waits for the answer. */
  #asking: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined

  private constructor(spec: LoadSpec, socket: Socket, username: string) {
    const { qos, inFlight } = spec
    this.#spec = spec
    this.#socket = socket
    const ids = Array.from({ length: inFlight }, (_, index) => index + 1)
    const packets = ids.map((id) => publishPacket(`t/${username}/telemetry`, PAYLOAD, { qos, id }))
    this.#batch = Buffer.concat(qos === 0 ? [...packets, PINGREQ] : packets)
    this.#release = Buffer.alloc(ACK_BYTES * inFlight)
    for (const [index, id] of ids.entries()) writeReply(this.#release, ACK_BYTES * index, PACKET.pubrel, id)
    socket.on('data', (chunk: Buffer) => {
      this.#wanted -= chunk.length
      if (this.#wanted > 0) return
      this.#asking?.resolve()
      this.#asking = undefined
    })
    socket.once('error', (error) => this.#asking?.reject(error))
    socket.once('close', () => this.#asking?.reject(new Error('the broker closed the connection')))
  }

  /** Resolves when the broker has let the client in. */
  static async connect(spec: LoadSpec, index: number): Promise<WindowClient> {
    const { username, secret } = loginOf(index)
    const { port, authorityFile } = spec
    const address = { port, host: '127.0.0.1', noDelay: true }
    const socket =
      authorityFile === undefined
        ? connect(address)
        : connectTls({ ...address, ca: readFileSync(authorityFile), servername: 'localhost' })
    const client = new WindowClient(spec, socket, username)
    await once(socket, authorityFile === undefined ? 'connect' : 'secureConnect')
    await client.#ask(
      connectPacket({ clientId: username, username, password: secret, keepAliveSeconds: 0 }),
      CONNACK_BYTES,
    )
    return client
  }

  /** Sends so many messages, in whole windows; resolves when all are answered. */
  async send(messages: number): Promise<void> {
    const { qos, inFlight } = this.#spec
    for (let sent = 0; sent < messages; sent += inFlight) {
      await this.#ask(this.#batch, qos === 0 ? PINGRESP_BYTES : ACK_BYTES * inFlight)
      if (qos === 2) await this.#ask(this.#release, ACK_BYTES * inFlight)
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close')
    this.#socket.end(DISCONNECT)
    await closed
  }

  #ask(packets: Buffer, answerBytes: number): Promise<void> {
    this.#wanted = answerBytes
    return new Promise((resolve, reject) => {
      this.#asking = { resolve, reject }
      this.#socket.write(packets)
    })
  }
}
