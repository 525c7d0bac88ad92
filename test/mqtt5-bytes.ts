import { frame, RawClient, utf8 } from './mqtt-bytes.ts'

/** Packets of MQTT 5 as bytes. Properties are given as bytes without their length. */
export const packet5 = {
  connect(
    options: {
      username?: string | undefined
      password?: string
      clientId?: string
      clean?: boolean
      keepalive?: number
      properties?: Buffer
      will?: { topic: string; payload: string | Buffer; qos?: number; retain?: boolean; properties?: Buffer }
    } = {},
  ): Buffer {
    const { username = 'a/1', password = 's', clientId = 'c', clean = true, keepalive = 0, properties, will } = options
    let flags = 0xc0 | (clean ? 2 : 0)
    if (will !== undefined) flags |= 4 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0)
    const head = [utf8('MQTT'), Buffer.from([5, flags, keepalive >> 8, keepalive & 0xff]), sized(properties)]
    const last =
      will === undefined ? [] : [sized(will.properties), utf8(will.topic), sizedBytes(Buffer.from(will.payload))]
    return frame(0x10, Buffer.concat([...head, utf8(clientId), ...last, utf8(username), utf8(password)]))
  },
  publish(
    topic: string,
    payload: string | Buffer,
    options: { qos?: number; id?: number; retain?: boolean; dup?: boolean; properties?: Buffer } = {},
  ): Buffer {
    const { qos = 0, id = 1, retain = false, dup = false, properties } = options
    const header = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
    const idBytes = qos > 0 ? u16(id) : Buffer.alloc(0)
    return frame(header, Buffer.concat([utf8(topic), idBytes, sized(properties), Buffer.from(payload)]))
  },
  subscribe(id: number, ...filters: [string, number][]): Buffer {
    const rest = filters.flatMap(([filter, options]) => [utf8(filter), Buffer.from([options])])
    return frame(0x82, Buffer.concat([u16(id), sized(undefined), ...rest]))
  },
  unsubscribe(id: number, ...filters: string[]): Buffer {
    return frame(0xa2, Buffer.concat([u16(id), sized(undefined), ...filters.map(utf8)]))
  },
  ack(header: number, id: number, ...rest: number[]): Buffer {
    return frame(header, Buffer.concat([u16(id), Buffer.from(rest)]))
  },
  disconnect(reason?: number, properties?: Buffer): Buffer {
    if (reason === undefined) return frame(0xe0, Buffer.alloc(0))
    const last = properties === undefined ? Buffer.alloc(0) : sized(properties)
    return frame(0xe0, Buffer.concat([Buffer.from([reason]), last]))
  },
}

/** Properties by identifier. */
export const property = {
  byte: (id: number, value: number): Buffer => Buffer.from([id, value]),
  two: (id: number, value: number): Buffer => Buffer.concat([Buffer.from([id]), u16(value)]),
  four(id: number, value: number): Buffer {
    const bytes = Buffer.alloc(5)
    bytes[0] = id
    bytes.writeUInt32BE(value, 1)
    return bytes
  },
  text: (id: number, value: string): Buffer => Buffer.concat([Buffer.from([id]), utf8(value)]),
  user: (key: string, value: string): Buffer => Buffer.concat([Buffer.from([0x26]), utf8(key), utf8(value)]),
}

export function sized(properties: Buffer = Buffer.alloc(0)): Buffer {
  return frame(0, properties).subarray(1)
}

/** A client of MQTT 5 that has logged in. */
export async function logIn5(
  port: number,
  options: Parameters<typeof packet5.connect>[0] = {},
  ...behind: Buffer[]
): Promise<RawClient> {
  const client = new RawClient(port)
  client.send(packet5.connect(options), ...behind)
  await client.packetsUpTo(1)
  return client
}

/** An application that may do everything. */
export const APP = { username: 'app', clientId: 'app' }

/** Type and reason of a packet from the broker: `puback 7 0x87`, `disconnect 0x81`, `suback 1 0x1 0x87`; messages with properties. */
export function describe5(bytes: Buffer): string {
  const type = (bytes[0] ?? 0) >> 4
  let body = 1
  while ((bytes[body] ?? 0) > 127) body += 1
  const rest = bytes.subarray(body + 1)
  const hex = (code: number): string => `0x${code.toString(16)}`
  const name = ['', '', 'connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp', '', 'suback', '', 'unsuback'][
    type
  ]
  if (type === 13) return 'pingresp'
  if (type === 14) return `disconnect ${hex(rest[0] ?? 0)}`
  if (type === 2) return `connack ${rest[0] ?? 0} ${hex(rest[1] ?? 0)}`
  if (type === 3) return describeMessage(bytes[0] ?? 0, rest)
  const id = rest.readUInt16BE(0)
  if (type === 9 || type === 11) return [name, id, ...[...behindProperties(rest, 2)].map(hex)].join(' ')
  return rest.length === 2 ? `${name ?? ''} ${id}` : `${name ?? ''} ${id} ${hex(rest[2] ?? 0)}`
}

/** Properties of a PUBLISH, without their length. */
export function propertiesOf(bytes: Buffer): Buffer {
  let body = 1
  while ((bytes[body] ?? 0) > 127) body += 1
  const rest = bytes.subarray(body + 1)
  const hasId = ((bytes[0] ?? 0) & 6) > 0
  const at = 2 + rest.readUInt16BE(0) + (hasId ? 2 : 0)
  const end = rest.length - behindProperties(rest, at).length
  return rest.subarray(at + (end - at > 127 + 1 ? 2 : 1), end)
}

function describeMessage(header: number, rest: Buffer): string {
  const topicEnd = 2 + rest.readUInt16BE(0)
  const qos = (header >> 1) & 3
  const payload = behindProperties(rest, topicEnd + (qos > 0 ? 2 : 0)).toString()
  return `publish ${rest.subarray(2, topicEnd).toString()} ${payload} q${qos}${(header & 1) === 1 ? ' retained' : ''}`
}

function behindProperties(bytes: Buffer, at: number): Buffer {
  let length = 0
  let next = at
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[next] ?? 0
    next += 1
    length |= (byte & 0x7f) << shift
    if (byte < 128) return bytes.subarray(next + length)
  }
}

function sizedBytes(bytes: Buffer): Buffer {
  return Buffer.concat([u16(bytes.length), bytes])
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}
