import {
  generate,
  type IConnectPacket,
  type IDisconnectPacket,
  type IPublishPacket,
  type ISubscribePacket,
  type Packet,
  type QoS,
} from 'mqtt-packet'

/** 4 is MQTT 3.1.1. */
export type Version = 4 | 5

type Acknowledgement = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'

interface Connect {
  readonly username?: string | undefined
  readonly password?: string
  readonly clientId?: string
  readonly clean?: boolean
  readonly keepalive?: number
  /** 3 is MQTT 3.1. */
  readonly level?: 3 | 4 | 5
  readonly will?: Omit<NonNullable<IConnectPacket['will']>, 'qos'> & { readonly qos?: number }
  readonly properties?: IConnectPacket['properties']
}

interface Publish {
  readonly qos?: number
  readonly id?: number
  readonly retain?: boolean
  readonly dup?: boolean
  /** As bytes where each byte counts, and their order. */
  readonly properties?: IPublishPacket['properties'] | Buffer
}

export type ConnectOptions = Connect

/**
 * Packets of a client as bytes, written by mqtt-packet and not by what is tested. What it does not write, because it is
 * not well-formed, is put together by {@link frame}.
 */
function packetsOf(version: Version) {
  const write = (packet: Packet): Buffer => generate(packet, { protocolVersion: version })
  const acknowledge = (cmd: Acknowledgement) => (id: number, reasonCode?: number) =>
    write({ cmd, messageId: id, reasonCode: reasonCode ?? 0 })
  return {
    connect({ username = 'a/1', password = 's', clientId = 'c', keepalive = 0, ...rest }: Connect = {}): Buffer {
      const { level = version, clean = true, will, properties } = rest
      return write({
        ...{ cmd: 'connect', protocolId: level === 3 ? 'MQIsdp' : 'MQTT', protocolVersion: level },
        ...{ clientId, clean, keepalive, username, password: Buffer.from(password) },
        ...(will === undefined ? {} : { will: { ...will, qos: will.qos as QoS } }),
        ...(properties === undefined ? {} : { properties }),
      })
    },
    publish(topic: string, payload: string | Buffer, options: Publish = {}): Buffer {
      const { qos = 0, id = 1, retain = false, dup = false, properties } = options
      if (version === 5 && Buffer.isBuffer(properties)) {
        const first = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
        const idBytes = qos > 0 ? u16(id) : Buffer.alloc(0)
        return frame(first, sized(topic), idBytes, allOf(properties), Buffer.from(payload))
      }
      const more = properties === undefined || Buffer.isBuffer(properties) ? {} : { properties }
      return write({ cmd: 'publish', topic, payload, qos: qos as QoS, messageId: id, retain, dup, ...more })
    },
    /** With each filter the byte of its options: in 3.1.1 the QoS. */
    subscribe(id: number, ...filters: readonly [string, number][]): Buffer {
      // The writer would leave such bits out.
      const isWrong = (options: number) => (options & 3) === 3 || options > (version === 5 ? 0x2f : 2)
      const wrong = filters.find(([, options]) => isWrong(options))
      if (wrong !== undefined) throw new Error(`no option of SUBSCRIBE: ${wrong[1]}`)
      const subscriptions = filters.map(([topic, options]): ISubscribePacket['subscriptions'][number] => ({
        ...{ topic, qos: (options & 3) as QoS, nl: (options & 4) > 0, rap: (options & 8) > 0, rh: options >> 4 },
      }))
      return write({ cmd: 'subscribe', messageId: id, subscriptions })
    },
    unsubscribe(id: number, ...filters: string[]): Buffer {
      return write({ cmd: 'unsubscribe', messageId: id, unsubscriptions: filters })
    },
    puback: acknowledge('puback'),
    pubrec: acknowledge('pubrec'),
    pubrel: acknowledge('pubrel'),
    pubcomp: acknowledge('pubcomp'),
    pingreq: write({ cmd: 'pingreq' }),
    disconnect(reasonCode?: number, properties?: IDisconnectPacket['properties']): Buffer {
      if (reasonCode === undefined) return Buffer.from([0xe0, 0])
      return write({ cmd: 'disconnect', reasonCode, ...(properties === undefined ? {} : { properties }) })
    },
  }
}

export const packet = packetsOf(4)
export const packet5 = packetsOf(5)

/** A packet from its first byte and the parts of its body: bytes, or one byte as a number. */
export function frame(header: number, ...parts: readonly (Buffer | number)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : part)))
  return Buffer.concat([Buffer.from([header]), variableLength(body.length), body])
}

/** A length as MQTT writes it in front of a body, and of properties. */
export function variableLength(length: number): Buffer {
  const bytes: number[] = []
  let rest = length
  do {
    bytes.push((rest & 0x7f) | (rest > 127 ? 0x80 : 0))
    rest >>= 7
  } while (rest > 0)
  return Buffer.from(bytes)
}

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

/** Bytes with two bytes of length in front: a text, or binary data. */
export function sized(bytes: Buffer | string): Buffer {
  return Buffer.concat([u16(Buffer.byteLength(bytes)), Buffer.from(bytes)])
}

/** Properties by identifier, for those that are not well-formed or must be the same to the byte. */
export const property = {
  byte: (id: number, value: number): Buffer => Buffer.from([id, value]),
  two: (id: number, value: number): Buffer => Buffer.concat([Buffer.from([id]), u16(value)]),
  four: (id: number, value: number): Buffer => Buffer.from([id, ...u16(value >>> 16), ...u16(value & 0xffff)]),
  text: (id: number, value: string): Buffer => Buffer.concat([Buffer.from([id]), sized(value)]),
  user: (key: string, value: string): Buffer => Buffer.concat([Buffer.from([0x26]), sized(key), sized(value)]),
}

/** Properties with their length in front. */
export function allOf(...properties: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(properties)
  return Buffer.concat([variableLength(bytes.length), bytes])
}
