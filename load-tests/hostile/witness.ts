import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connectPacket, PACKET, publishPacket } from '../../shared/mqtt/client-packets.ts'
import type { FuzzLogin } from './mutations.ts'

const PAYLOAD = '{"witness":1}'
const EVERY_MS = 5
/** Beyond it the witness takes the broker for dead. Longer than a measurement of memory, during which it is silent. */
const SILENCE_MS = 60_000
const CONNACK_BYTES = 4
const ACK_BYTES = 4

/** A good device beside the hostile ones: publishes at QoS 1, the next message when the last one is acknowledged. */
export class Witness {
  sent = 0
  acknowledged = 0
  /** Milliseconds from PUBLISH to PUBACK, at most. */
  slowestMs = 0
  readonly #socket: Socket
  readonly #topic: string
  #isStopping = false
  #publishing: Promise<void> = Promise.resolve()
  #rest = Buffer.alloc(0)
  #wake: () => void = () => undefined

  private constructor(socket: Socket, { tenant, device }: FuzzLogin) {
    this.#socket = socket
    this.#topic = `t/${tenant}/${device}/telemetry`
    socket.setTimeout(SILENCE_MS, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#wake())
    socket.on('data', (bytes: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, bytes])
      this.#wake()
    })
  }

  static async start(port: number, login: FuzzLogin): Promise<Witness> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    await once(socket, 'connect')
    const { username, secret } = login
    socket.write(connectPacket({ clientId: 'witness', username, password: secret, keepAliveSeconds: 60 }))
    const witness = new Witness(socket, login)
    const answer = await witness.#read(CONNACK_BYTES)
    if (answer?.[CONNACK_BYTES - 1] !== 0) throw new Error('the witness was not let in')
    witness.#publishing = witness.#publish()
    return witness
  }

  /** Its connection lives, as it must. */
  get isConnected(): boolean {
    return !this.#socket.destroyed
  }

  /** Publishes no more; the connection stays. Never rejects: a message without answer is `sent` and not `acknowledged`. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#publishing
  }

  close(): void {
    this.#socket.destroy()
  }

  async #publish(): Promise<void> {
    while (!this.#isStopping && this.isConnected) {
      const startedAt = performance.now()
      this.sent += 1
      const id = (this.sent % 65_535) + 1
      this.#socket.write(publishPacket(this.#topic, PAYLOAD, { qos: 1, id }))
      const answer = await this.#read(ACK_BYTES)
      if (answer?.[0] !== PACKET.puback || answer.readUInt16BE(2) !== id) return
      this.acknowledged += 1
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAt)
      await delay(EVERY_MS)
    }
  }

  /** So many bytes; undefined when the connection ended before. */
  async #read(bytes: number): Promise<Buffer | undefined> {
    while (this.#rest.length < bytes) {
      if (!this.isConnected) return undefined
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    const answer = this.#rest.subarray(0, bytes)
    this.#rest = this.#rest.subarray(bytes)
    return answer
  }
}
