import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { generate, parser, type IConnectPacket, type IPublishPacket, type Packet } from 'mqtt-packet'
import { onTestFinished } from 'vitest'
import { createWebSocketStream, WebSocket } from 'ws'
import type { Way } from './listener-clients.ts'
import { PATIENCE } from '../../patience.ts'

export type Version = 4 | 5

/** Bytes of MQTT on any listener. */
function openStream({ kind, port, ca }: Way): Duplex {
  const pem = ca === undefined ? {} : { ca: readFileSync(ca) }
  if (kind === 'tcp') return connectTcp({ port, host: 'localhost', noDelay: true })
  if (kind === 'tls') return connectTls({ port, host: 'localhost', ...pem })
  return createWebSocketStream(new WebSocket(`${kind}://localhost:${port}`, 'mqtt', pem))
}

/** A client that sends any packet on any listener, sound or not, and keeps what comes back. Closed with the test. */
export class PacketClient {
  readonly packets: Packet[] = []
  isClosed = false
  readonly #version: Version
  readonly #stream: Duplex
  readonly #waiting = new Set<() => void>()
  #lastId = 0

  constructor(way: Way, version: Version) {
    this.#version = version
    this.#stream = openStream(way)
    const reader = parser({ protocolVersion: version })
    reader.on('packet', (packet) => {
      this.packets.push(packet)
      this.#wake()
    })
    reader.on('error', () => this.#stream.destroy())
    this.#stream.on('data', (chunk: Buffer) => reader.parse(chunk))
    this.#stream.on('error', () => undefined)
    // A WebSocket's stream ends when it is closed, and closes when it is destroyed.
    for (const event of ['end', 'close']) {
      this.#stream.on(event, () => {
        this.isClosed = true
        this.#wake()
      })
    }
    onTestFinished(() => this.drop())
  }

  send(packet: Packet): void {
    this.#stream.write(generate(packet, { protocolVersion: this.#version }))
  }

  sendBytes(bytes: Buffer): void {
    this.#stream.write(bytes)
  }

  /** The code of CONNACK, or undefined when the connection was closed without. */
  async connect(packet: Omit<IConnectPacket, 'cmd' | 'clientId'> & { clientId?: string }): Promise<number | undefined> {
    const whole = { clientId: 'c', clean: true, keepalive: 0, protocolId: 'MQTT' as const, ...packet }
    this.send({ cmd: 'connect', protocolVersion: this.#version, ...whole })
    const [answer] = await this.until((it) => it.cmd === 'connack')
    if (answer?.cmd !== 'connack') return undefined
    return this.#version === 5 ? answer.reasonCode : answer.returnCode
  }

  /** The codes of SUBACK; undefined when the connection was closed. */
  async subscribe(...filters: readonly [string, 0 | 1 | 2][]): Promise<readonly number[] | undefined> {
    const messageId = this.#nextId()
    this.send({ cmd: 'subscribe', messageId, subscriptions: filters.map(([topic, qos]) => ({ topic, qos })) })
    const [answer] = await this.until((it) => it.cmd === 'suback' && it.messageId === messageId)
    return answer?.cmd === 'suback' ? (answer.granted as number[]) : undefined
  }

  /** Publishes at QoS 1; the reason code of PUBACK, or undefined when the connection was closed. */
  async publish(topic: string, payload: string, retain = false): Promise<number | undefined> {
    const messageId = this.#nextId()
    this.send({ cmd: 'publish', topic, payload, qos: 1, retain, dup: false, messageId })
    const [answer] = await this.until((it) => it.cmd === 'puback' && it.messageId === messageId)
    return answer?.cmd === 'puback' ? (answer.reasonCode ?? 0) : undefined
  }

  /** What was delivered so far. */
  get messages(): readonly IPublishPacket[] {
    return this.packets.filter((it) => it.cmd === 'publish')
  }

  /** The packets that match, when there is one or the connection is closed. */
  async until(matches: (packet: Packet) => boolean): Promise<readonly Packet[]> {
    const limit = Date.now() + PATIENCE.timeout
    for (;;) {
      const found = this.packets.filter(matches)
      if (found.length > 0 || this.isClosed) return found
      if (Date.now() > limit) throw new Error(`did not come; got ${this.packets.map(({ cmd }) => cmd).join(', ')}`)
      await this.#next()
    }
  }

  /** Resolves when the other side has closed the connection. */
  async closed(): Promise<void> {
    await this.until(() => false)
  }

  /** Breaks the connection. */
  drop(): void {
    this.#stream.destroy()
  }

  #nextId(): number {
    this.#lastId += 1
    return this.#lastId
  }

  async #next(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 1_000)
      this.#waiting.add(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
