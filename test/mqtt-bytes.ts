import { connect as connectTcp, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { PATIENCE } from './patience.ts'

/** Packets as bytes, for what no client library sends. */
export const packet = {
  connect(
    options: {
      username?: string
      password?: string
      clientId?: string
      clean?: boolean
      keepalive?: number
      level?: number
    } = {},
  ): Buffer {
    const { username = 'a/1', password = 's', clientId = 'c', clean = true, keepalive = 0, level = 4 } = options
    const head = Buffer.from([
      ...utf8(level === 3 ? 'MQIsdp' : 'MQTT'),
      level,
      0xc0 | (clean ? 2 : 0),
      keepalive >> 8,
      keepalive & 0xff,
    ])
    return frame(0x10, Buffer.concat([head, utf8(clientId), utf8(username), utf8(password)]))
  },
  publish(
    topic: string,
    payload: string | Buffer,
    options: { qos?: number; id?: number; retain?: boolean; dup?: boolean } = {},
  ): Buffer {
    const { qos = 0, id = 1, retain = false, dup = false } = options
    const header = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
    return frame(header, Buffer.concat([utf8(topic), qos > 0 ? u16(id) : Buffer.alloc(0), Buffer.from(payload)]))
  },
  subscribe(id: number, ...filters: [string, number][]): Buffer {
    return frame(
      0x82,
      Buffer.concat([u16(id), ...filters.flatMap(([filter, qos]) => [utf8(filter), Buffer.from([qos])])]),
    )
  },
  unsubscribe(id: number, ...filters: string[]): Buffer {
    return frame(0xa2, Buffer.concat([u16(id), ...filters.map(utf8)]))
  },
  ack(header: number, id: number): Buffer {
    return frame(header, u16(id))
  },
  pingreq: Buffer.from([0xc0, 0]),
  disconnect: Buffer.from([0xe0, 0]),
}

export function frame(header: number, body: Buffer): Buffer {
  const length: number[] = []
  let rest = body.length
  do {
    length.push((rest & 0x7f) | (rest > 127 ? 0x80 : 0))
    rest >>= 7
  } while (rest > 0)
  return Buffer.concat([Buffer.from([header, ...length]), body])
}

export function utf8(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([u16(bytes.length), bytes])
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

/** A client at the level of bytes: what came back is kept as packets. */
export class RawClient {
  readonly socket: Socket
  readonly packets: Buffer[] = []
  isClosed = false
  #rest = Buffer.alloc(0)
  readonly #waiting = new Set<() => void>()

  constructor(port: number) {
    this.socket = connectTcp({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
    onTestFinished(() => {
      this.socket.destroy()
    })
  }

  send(...packets: Buffer[]): void {
    this.socket.write(Buffer.concat(packets))
  }

  /** Resolves when `done` holds; asked again after each packet and at the end of the connection. */
  async until(done: () => boolean, what = 'the expected packets'): Promise<void> {
    const limit = Date.now() + PATIENCE.timeout
    while (!done()) {
      if (Date.now() > limit) throw new Error(`${what} did not come; got ${this.packets.map(describe).join(', ')}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000)
        this.#waiting.add(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  async packetsUpTo(count: number): Promise<string[]> {
    await this.until(() => this.packets.length >= count || this.isClosed, `${count} packets`)
    return this.packets.map(describe)
  }

  async closed(): Promise<void> {
    await this.until(() => this.isClosed, 'the end of the connection')
  }

  #onData(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    for (;;) {
      let length = 0
      let at = 1
      for (let shift = 0; ; shift += 7, at += 1) {
        const byte = this.#rest[at]
        if (byte === undefined) return this.#wake()
        length |= (byte & 0x7f) << shift
        if (byte < 128) break
      }
      const end = at + 1 + length
      if (this.#rest.length < end) return this.#wake()
      this.packets.push(this.#rest.subarray(0, end))
      this.#rest = this.#rest.subarray(end)
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

const NAMES = [
  '',
  'connect',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'pingreq',
  'pingresp',
  'disconnect',
]

/** `puback 7`, `connack 0 5`, `suback 1 0 128`, `publish a/b x`. */
export function describe(bytes: Buffer): string {
  const type = (bytes[0] ?? 0) >> 4
  const name = NAMES[type] ?? String(type)
  if (type === 13) return name
  if (type === 2) return `${name} ${[...bytes.subarray(2)].join(' ')}`
  const body = bytes.subarray(bytes.length > 129 ? 3 : 2)
  if (body.length < 2) return [name, ...body].join(' ')
  if (type !== 3) return [name, body.readUInt16BE(0), ...body.subarray(2)].join(' ')
  const qos = ((bytes[0] ?? 0) >> 1) & 3
  const topicEnd = 2 + body.readUInt16BE(0)
  const retain = ((bytes[0] ?? 0) & 1) === 1 ? ' retained' : ''
  const payload = body.subarray(topicEnd + (qos > 0 ? 2 : 0)).toString()
  return `${name} ${body.subarray(2, topicEnd).toString()} ${payload} q${qos}${retain}`
}

/** A raw client that has logged in. */
export async function logIn(port: number, options: Parameters<typeof packet.connect>[0] = {}): Promise<RawClient> {
  const client = new RawClient(port)
  client.send(packet.connect(options))
  await client.packetsUpTo(1)
  return client
}
