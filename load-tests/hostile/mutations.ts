import { generate, type Packet } from 'mqtt-packet'

/** Numbers from 0 to 1, 1 excluded, that depend on nothing but a seed. */
export type Random = () => number

/** mulberry32: small, seeded, and good enough to choose bytes. */
export function randomFrom(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface FuzzLogin {
  readonly tenant: string
  readonly device: string
  readonly username: string
  readonly secret: string
}

export type Version = 4 | 5

/** What a device of one version of MQTT says: how it logs in, and everything that it may send then. */
export interface Vocabulary {
  readonly login: Buffer
  readonly packets: readonly Buffer[]
}

/** Packets that keep to the specification, made by a library that is not ours. */
export function vocabularyOf(version: Version, login: FuzzLogin, clientId: string): Vocabulary {
  const bytes = (packet: Packet): Buffer => generate(packet, { protocolVersion: version })
  const own = `t/${login.tenant}/${login.device}`
  const isFive = version === 5
  const properties = isFive
    ? { properties: { messageExpiryInterval: 9, contentType: 'json', userProperties: { k: 'v' } } }
    : {}
  const aliased = isFive ? { properties: { topicAlias: 3, payloadFormatIndicator: true } } : {}
  const publish = (topic: string, qos: 0 | 1 | 2, messageId: number, more: object): Buffer =>
    bytes({ cmd: 'publish', topic, payload: '{"x":1}', qos, messageId, retain: false, dup: false, ...more })
  const connect = (more: object): Buffer =>
    bytes({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: version, clientId, clean: true, keepalive: 30 },
      ...{ username: login.username, password: Buffer.from(login.secret), ...more },
    })
  const will = { topic: `${own}/status`, payload: Buffer.from('gone'), qos: 1 as const, retain: true }
  const filters = [
    { topic: `${own}/cmd/#`, qos: 1 as const },
    { topic: `${own}/notice`, qos: 2 as const },
    { topic: 't/+/+/telemetry', qos: 0 as const },
  ]
  const packets = [
    connect({}),
    connect({ clean: false, will: isFive ? { ...will, properties: { willDelayInterval: 1 } } : will }),
    publish(`${own}/telemetry`, 0, 0, {}),
    publish(`${own}/telemetry`, 1, 1, properties),
    publish(`${own}/telemetry/other`, 2, 2, aliased),
    publish(`${own}/status`, 2, 3, { retain: true, ...properties }),
    publish('t/nobody/1/telemetry', 1, 4, {}),
    ...[2, 3].map((messageId) => bytes({ cmd: 'pubrel', messageId })),
    ...(['puback', 'pubrec', 'pubcomp'] as const).map((cmd) => bytes({ cmd, messageId: 1 })),
    bytes({ cmd: 'subscribe', messageId: 5, subscriptions: filters }),
    bytes({ cmd: 'unsubscribe', messageId: 6, unsubscriptions: [`${own}/cmd/#`] }),
    bytes({ cmd: 'pingreq' }),
    bytes({ cmd: 'disconnect', ...(isFive ? { reasonCode: 4, properties: { reasonString: 'why' } } : {}) }),
  ]
  return { login: connect({}), packets }
}

/** How a connection ends: its side is closed and the answers are read, it is reset, it goes, or it waits first. */
export type End = 'half-close' | 'reset' | 'leave' | 'wait'

/** Where a connection comes in: on TLS without speaking it, and on WebSocket with an upgrade or without. */
export type Door = 'mqtt' | 'tls' | 'ws'

export interface HostileConnection {
  readonly door: Door
  /** What is written, write by write: packets cut anywhere. */
  readonly writes: readonly Buffer[]
  readonly end: End
}

const MAX_PIECES = 12
const MAX_NOISE_BYTES = 300
const MAX_WRITES = 5
/** Shares of the pieces of a connection; the rest is noise. */
const VALID = 0.5
const MUTATED = 0.4
const LOGGED_IN = 0.6
/** Shares of the connections. */
const AT_TLS = 0.02
const AT_WEB_SOCKET = 0.08
const UPGRADED = 0.8
const UPGRADE = [
  ...['GET /mqtt HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket'],
  ...[
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol: mqtt',
    '',
    '',
  ],
].join('\r\n')

/** One connection of a fuzzer. */
export function hostileConnection(random: Random, { login, packets }: Vocabulary): HostileConnection {
  const pieces = random() < LOGGED_IN ? [login] : []
  const count = 1 + below(random, MAX_PIECES)
  for (let index = 0; index < count; index += 1) {
    const packet = packets[below(random, packets.length)] ?? login
    const kind = random()
    if (kind < VALID) pieces.push(packet)
    else pieces.push(kind < VALID + MUTATED ? mutated(random, packet) : noise(random, MAX_NOISE_BYTES))
  }
  const door = doorOf(random())
  const end = endOf(random())
  if (door === 'mqtt') return { door, writes: cut(random, Buffer.concat(pieces)), end }
  const bytes = door === 'ws' ? webSocketBytes(random, pieces) : Buffer.concat(pieces)
  // A handshake that has half of its connection left would be waited for until its time is over.
  return { door, writes: cut(random, bytes), end: end === 'half-close' ? 'leave' : end }
}

/** Frames of a client, some of them changed, behind an upgrade that may be changed too. */
function webSocketBytes(random: Random, pieces: readonly Buffer[]): Buffer {
  const upgrade = Buffer.from(UPGRADE)
  const frames = pieces.map((piece) => (random() < VALID ? frameOf(piece) : mutated(random, frameOf(piece))))
  return Buffer.concat([random() < UPGRADED ? upgrade : mutated(random, upgrade), ...frames])
}

/** A binary message, masked with zeros [RFC 6455, 5.2]. */
function frameOf(payload: Buffer): Buffer {
  const { length } = payload
  const head = length < 126 ? [0x82, 0x80 | length] : [0x82, 0x80 | 126, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload])
}

function doorOf(share: number): Door {
  if (share < AT_TLS) return 'tls'
  return share < AT_TLS + AT_WEB_SOCKET ? 'ws' : 'mqtt'
}

/** The packet with one to four changes: bytes changed, taken out, put in or repeated, its length, or its end lost. */
export function mutated(random: Random, packet: Buffer): Buffer {
  let bytes = Buffer.from(packet)
  for (let changes = 1 + below(random, 4); changes > 0; changes -= 1) {
    const at = below(random, bytes.length)
    const until = at + below(random, 9)
    switch (below(random, 8)) {
      case 0:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(until)])
        break
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), noise(random, 8), bytes.subarray(at)])
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, until), bytes.subarray(at)])
        break
      case 3:
        bytes = bytes.subarray(0, at)
        break
      case 4:
        if (bytes.length > 1) bytes[1] = below(random, 256)
        break
      default:
        if (bytes.length > 0) bytes[at] = below(random, 256)
    }
  }
  return bytes
}

function noise(random: Random, most: number): Buffer {
  return Buffer.from(Array.from({ length: below(random, most) }, () => below(random, 256)))
}

function cut(random: Random, bytes: Buffer): Buffer[] {
  const places = Array.from({ length: below(random, MAX_WRITES) }, () => below(random, bytes.length + 1))
  const ends = [...places, bytes.length].sort((a, b) => a - b)
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter(({ length }) => length > 0)
}

function endOf(share: number): End {
  if (share < 0.45) return 'half-close'
  if (share < 0.7) return 'reset'
  return share < 0.9 ? 'leave' : 'wait'
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit)
}
