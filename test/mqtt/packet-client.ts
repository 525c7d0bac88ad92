import { readFileSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { generate, parser, type IConnectPacket, type IPublishPacket, type Packet } from 'mqtt-packet'
import { onTestFinished } from 'vitest'
import { createWebSocketStream, WebSocket } from 'ws'
import { PATIENCE } from '../patience.ts'
import { packet, packet5, type ConnectOptions, type Version } from './packets.ts'
import type { Way } from './way.ts'

/** Bytes of MQTT on any listener. */
function openStream({ kind, port, ca }: Way): Duplex {
  const pem = ca === undefined ? {} : { ca: readFileSync(ca) }
  if (kind === 'tcp') return connectTcp({ port, host: '127.0.0.1', noDelay: true })
  if (kind === 'tls') return connectTls({ port, host: 'localhost', ...pem }).setNoDelay()
  return createWebSocketStream(new WebSocket(`${kind}://localhost:${port}`, 'mqtt', pem))
}

/**
 * A client that sends any bytes on any listener, and keeps what comes back: as bytes, and as packets by mqtt-packet, which
 * is not what is tested. Closed with the test.
 */
export class PacketClient {
  readonly version: Version
  readonly socket: Duplex
  /** The bytes of each packet that came. */
  readonly frames: Buffer[] = []
  isClosed = false
  readonly #packets: Packet[] = []
  #parsed = 0
  #rest = Buffer.alloc(0)
  #lastId = 0
  readonly #waiting = new Set<() => void>()

  /** A port is one of this machine, without TLS. */
  constructor(to: Way | number, version: Version = 4) {
    this.version = version
    this.socket = openStream(typeof to === 'number' ? { kind: 'tcp', port: to } : to)
    this.socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.socket.on('error', () => undefined)
    // A WebSocket's stream ends when it is closed, and closes when it is destroyed.
    for (const event of ['end', 'close']) {
      this.socket.on(event, () => {
        this.isClosed = true
        this.#wake()
      })
    }
    onTestFinished(() => this.drop())
  }

  /** What came, as packets. Throws when it is none. */
  get packets(): Packet[] {
    for (; this.#parsed < this.frames.length; this.#parsed += 1) {
      this.#packets.push(parse(this.frames[this.#parsed] ?? Buffer.alloc(0), this.version))
    }
    return this.#packets
  }

  /** What came, as text: see {@link describe}. */
  get texts(): string[] {
    return this.packets.map((it) => describe(it, this.version))
  }

  /** The messages that came. */
  get messages(): readonly IPublishPacket[] {
    return this.packets.filter((it) => it.cmd === 'publish')
  }

  send(...packets: readonly (Buffer | Packet)[]): void {
    const bytes = (it: Buffer | Packet) => (Buffer.isBuffer(it) ? it : generate(it, { protocolVersion: this.version }))
    this.socket.write(Buffer.concat(packets.map(bytes)))
  }

  /** The code of CONNACK, or undefined when the connection was closed without. */
  async connect(packet: Omit<IConnectPacket, 'cmd' | 'clientId'> & { clientId?: string }): Promise<number | undefined> {
    const whole = { clientId: 'c', clean: true, keepalive: 0, protocolId: 'MQTT' as const, ...packet }
    this.send({ cmd: 'connect', protocolVersion: this.version, ...whole })
    const [answer] = await this.matching((it) => it.cmd === 'connack')
    if (answer?.cmd !== 'connack') return undefined
    return this.version === 5 ? answer.reasonCode : answer.returnCode
  }

  /** The codes of SUBACK; undefined when the connection was closed. */
  async subscribe(...filters: readonly [string, 0 | 1 | 2][]): Promise<readonly number[] | undefined> {
    const messageId = this.#nextId()
    this.send({ cmd: 'subscribe', messageId, subscriptions: filters.map(([topic, qos]) => ({ topic, qos })) })
    const [answer] = await this.matching((it) => it.cmd === 'suback' && it.messageId === messageId)
    return answer?.cmd === 'suback' ? (answer.granted as number[]) : undefined
  }

  /** Publishes at QoS 1; the reason code of PUBACK, or undefined when the connection was closed. */
  async publish(topic: string, payload: string, retain = false): Promise<number | undefined> {
    const messageId = this.#nextId()
    this.send({ cmd: 'publish', topic, payload, qos: 1, retain, dup: false, messageId })
    const [answer] = await this.matching((it) => it.cmd === 'puback' && it.messageId === messageId)
    return answer?.cmd === 'puback' ? (answer.reasonCode ?? 0) : undefined
  }

  /** Resolves when `done` holds; asked again after what came and at the end of the connection. */
  async until(done: () => boolean, what = 'the expected packets'): Promise<void> {
    const limit = Date.now() + PATIENCE.timeout
    while (!done()) {
      if (Date.now() > limit) throw new Error(`${what} did not come; got ${this.texts.join(', ')}`)
      await this.#next()
    }
  }

  /** The packets that match, when there is one or the connection is closed. */
  async matching(matches: (packet: Packet) => boolean): Promise<readonly Packet[]> {
    await this.until(() => this.isClosed || this.packets.some(matches))
    return this.packets.filter(matches)
  }

  /** As texts, when there are so many or the connection is closed. */
  async packetsUpTo(count: number): Promise<string[]> {
    await this.until(() => this.packets.length >= count || this.isClosed, `${count} packets`)
    return this.texts
  }

  /** Resolves when the other side has closed the connection. */
  async closed(): Promise<void> {
    await this.until(() => this.isClosed, 'the end of the connection')
  }

  /** Breaks the connection. */
  drop(): void {
    this.socket.destroy()
  }

  /** Breaks a TCP connection with RST. */
  reset(): void {
    ;(this.socket as Socket).resetAndDestroy()
  }

  #nextId(): number {
    this.#lastId += 1
    return this.#lastId
  }

  #onData(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    for (let end = frameEnd(this.#rest); end <= this.#rest.length; end = frameEnd(this.#rest)) {
      this.frames.push(this.#rest.subarray(0, end))
      this.#rest = this.#rest.subarray(end)
    }
    this.#wake()
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

/** Where the first packet ends; beyond everything when its length is not there yet. */
function frameEnd(bytes: Buffer): number {
  let length = 0
  for (let at = 1; ; at += 1) {
    const byte = bytes[at]
    if (byte === undefined) return Infinity
    length |= (byte & 0x7f) << (7 * (at - 1))
    if (byte < 128) return at + 1 + length
  }
}

function parse(bytes: Buffer, protocolVersion: Version): Packet {
  const read: Packet[] = []
  const reader = parser({ protocolVersion })
  reader.on('packet', (it) => read.push(it))
  reader.on('error', (error) => {
    throw new Error(`the broker sent ${bytes.toString('hex')}`, { cause: error })
  })
  reader.parse(bytes)
  const [first] = read
  if (first === undefined) throw new Error(`the broker sent ${bytes.toString('hex')}`)
  return first
}

/**
 * `publish a/b x q1 retained`, and of the rest type, id and codes. In 3.1.1: `connack 0 5`, `puback 7`, `suback 1 0 128`.
 * In 5: `connack 0 0x0`, `puback 7 0x87` (without a reason in the short form), `suback 1 0x1 0x87`, `disconnect 0x81`.
 */
export function describe(packet: Packet, version: Version): string {
  const code = (it: number | undefined): string => (version === 5 ? `0x${(it ?? 0).toString(16)}` : String(it ?? 0))
  switch (packet.cmd) {
    case 'connack':
      return `connack ${packet.sessionPresent ? 1 : 0} ${code(version === 5 ? packet.reasonCode : packet.returnCode)}`
    case 'publish': {
      const { topic, payload, qos, retain } = packet
      return `publish ${topic} ${payload.toString()} q${qos}${retain ? ' retained' : ''}`
    }
    case 'suback':
    case 'unsuback':
      return [packet.cmd, packet.messageId, ...((packet.granted ?? []) as number[]).map(code)].join(' ')
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return [packet.cmd, packet.messageId, ...((packet.length ?? 0) > 2 ? [code(packet.reasonCode)] : [])].join(' ')
    case 'disconnect':
      return `disconnect ${code(packet.reasonCode)}`
    default:
      return packet.cmd
  }
}

/** A client that has logged in, or was refused. */
export async function logIn(port: number, options: ConnectOptions = {}): Promise<PacketClient> {
  const client = new PacketClient(port)
  client.send(packet.connect(options))
  await client.packetsUpTo(1)
  return client
}

/** The same in MQTT 5; `following` is sent with the CONNECT. */
export async function logIn5(
  port: number,
  options: ConnectOptions = {},
  ...following: Buffer[]
): Promise<PacketClient> {
  const client = new PacketClient(port, 5)
  client.send(packet5.connect(options), ...following)
  await client.packetsUpTo(1)
  return client
}

/** An application that may do everything. */
export const APP = { username: 'app', clientId: 'app' }
