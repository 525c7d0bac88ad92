import { frame, packet, sized, u16 } from '../../../mqtt/packets.ts'
import {
  answered,
  bits,
  connect,
  cutTo,
  first,
  HOSTILE,
  ID,
  loggedIn,
  LOGIN,
  longer,
  SERVER_PACKETS,
  SOUND,
  SOUND_PACKETS,
  STATUS,
  TELEMETRY,
  type HostileCase,
} from './cases.ts'

const NIBBLES = Array.from({ length: 16 }, (_, nibble) => nibble)

function withFlags(bytes: Buffer, flags: number): Buffer {
  return Buffer.concat([Buffer.from([((bytes[0] ?? 0) & 0xf0) | flags]), bytes.subarray(1)])
}

/** Types whose flags are fixed [table 2.2], with every other value of the flags. */
const WRONG_FLAGS: readonly HostileCase[] = Object.entries(SOUND_PACKETS).flatMap(([type, bytes]) => {
  if (type === 'PUBLISH') return []
  const make = type === 'CONNECT' ? first : loggedIn
  const own: Record<string, string> = {
    PUBREL: 'MQTT-3.6.1-1',
    SUBSCRIBE: 'MQTT-3.8.1-1',
    UNSUBSCRIBE: 'MQTT-3.10.1-1',
    DISCONNECT: 'MQTT-3.14.1-1',
  }
  return NIBBLES.filter((flags) => flags !== ((bytes[0] ?? 0) & 15)).map((flags) =>
    make(`[${own[type] ?? 'MQTT-2.2.2-2'}] ${type} with flags ${bits(flags, 4)}`, withFlags(bytes, flags)),
  )
})

const publish = (flags: number): Buffer => frame(0x30 | flags, sized(TELEMETRY), u16(ID), Buffer.from(HOSTILE))
const WRONG_PUBLISH_FLAGS: readonly HostileCase[] = [
  ...[0b0110, 0b0111, 0b1110, 0b1111].map((flags) =>
    loggedIn(`[MQTT-3.3.1-4] PUBLISH with flags ${bits(flags, 4)}`, publish(flags)),
  ),
  ...[0b1000, 0b1001].map((flags) => loggedIn(`[MQTT-3.3.1-2] PUBLISH with flags ${bits(flags, 4)}`, publish(flags))),
]

const SERVER_ONLY: readonly HostileCase[] = Object.entries(SERVER_PACKETS).flatMap(([type, bytes]) =>
  NIBBLES.map((flags) =>
    loggedIn(`[2.2.1] ${type}, which only a server sends, flags ${bits(flags, 4)}`, withFlags(bytes, flags)),
  ),
)

const NO_TYPE: readonly HostileCase[] = [0, 15].flatMap((type) =>
  NIBBLES.map((flags) => loggedIn(`[2.2.1] type ${type}, flags ${bits(flags, 4)}`, frame((type << 4) | flags))),
)

function proxied(header: string): Buffer {
  return Buffer.concat([Buffer.from(header), Buffer.alloc(12), SOUND_PACKETS.CONNECT, Buffer.alloc(100)])
}

/** All but CONNECT, sound or not, as the first packet. */
const BEFORE_CONNECT: readonly HostileCase[] = [
  ...Object.entries({ ...SOUND_PACKETS, ...SERVER_PACKETS })
    .filter(([type]) => type !== 'CONNECT')
    .map(([type, bytes]) => first(`[MQTT-3.1.0-1] ${type} first`, bytes)),
  first('[MQTT-3.1.0-1] type 0 first', frame(0)),
  first('[MQTT-3.1.0-1] type 15 first', frame(0xf0)),
  first('[MQTT-3.1.0-1] PUBLISH of QoS 0 first', packet.publish(TELEMETRY, HOSTILE)),
  first('[MQTT-3.1.0-1] a request of HTTP', Buffer.from(`GET / HTTP/1.1\r\nHost: ${'broker.'.repeat(20)}\r\n\r\n`)),
  first('[MQTT-3.1.0-1] a greeting of SSH', Buffer.concat([Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'), Buffer.alloc(100)])),
  first(
    '[MQTT-3.1.2-1] a greeting of TLS',
    Buffer.from([0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3, ...Buffer.alloc(160)]),
  ),
  first('[MQTT-3.1.0-1] a PROXY line where none is expected', proxied('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n')),
  first('[MQTT-3.1.0-1] a PROXY header where none is expected', proxied('\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c')),
  first('[MQTT-3.1.0-1] zeros', Buffer.alloc(64)),
  first('[2.2.3] nothing but ones', Buffer.alloc(64, 0xff)),
]

const SECOND_CONNECTS: readonly [string, Buffer][] = [
  ['the same once more', SOUND_PACKETS.CONNECT],
  ['another client id', connect({ ...LOGIN, clientId: 'other' })],
  ['another login', connect({ ...LOGIN, username: 'a/2' })],
  ['without clean session', connect({ ...LOGIN, flags: 0xc0 })],
  ['of 3.1', connect({ ...LOGIN, name: 'MQIsdp', level: 3 })],
  ['of a level that is not known', connect({ ...LOGIN, level: 9 })],
  ['without a body', frame(0x10)],
]
const SECOND_CONNECT = SECOND_CONNECTS.map(([what, bytes]) =>
  loggedIn(`[MQTT-3.1.0-2] a second CONNECT, ${what}`, bytes),
)

/** Continued four times: no length has a fifth byte. */
const FIVE_BYTES: readonly HostileCase[] = Array.from({ length: 16 }, (_, type) => type).flatMap((type) => {
  const header = (type << 4) | (type === 6 || type === 8 || type === 10 ? 2 : 0)
  const bytes = (...length: number[]): Buffer => Buffer.from([header, ...length])
  return [
    loggedIn(`[2.2.3] type ${type} with a remaining length of five bytes`, bytes(0xff, 0xff, 0xff, 0xff, 0x7f)),
    loggedIn(`[2.2.3] type ${type} with length 0 in five bytes`, bytes(0x80, 0x80, 0x80, 0x80, 0)),
    first(`[2.2.3] type ${type} first, with a remaining length of five bytes`, bytes(0x81, 0x80, 0x80, 0x80, 1)),
  ]
})

/** More bytes than needed, which MQTT 3.1.1 does not forbid. */
const MORE_LENGTH_THAN_NEEDED: readonly HostileCase[] = [2, 3, 4].flatMap((count) => {
  const spread = (bytes: Buffer): Buffer => {
    const length = [(bytes[1] ?? 0) | 0x80, ...Array.from({ length: count - 2 }, () => 0x80), 0]
    return Buffer.concat([bytes.subarray(0, 1), Buffer.from(length), bytes.subarray(2)])
  }
  const telemetry = packet.publish(TELEMETRY, SOUND, { qos: 1, id: ID })
  const status = packet.publish(STATUS, SOUND, { qos: 1, id: ID })
  return [
    first(
      `[2.2.3] CONNECT with its length in ${count} bytes`,
      spread(connect({ ...LOGIN, clientId: `${count}` })),
      answered('connack 0 0'),
    ),
    loggedIn(`[2.2.3] PINGREQ with its length in ${count} bytes`, spread(packet.pingreq), answered('pingresp')),
    loggedIn(`[2.2.3] telemetry with its length in ${count} bytes`, spread(telemetry), answered(`puback ${ID}`)),
    loggedIn(`[2.2.3] a status with its length in ${count} bytes`, spread(status), answered(`puback ${ID}`)),
    loggedIn(
      `[2.2.3] SUBSCRIBE with its length in ${count} bytes`,
      spread(SOUND_PACKETS.SUBSCRIBE),
      answered(`suback ${ID} 1`),
    ),
  ]
})

/** MQTT 3.1 has DUP in these three, for what is repeated; nothing else is let pass. */
const OLD_VERSION: readonly HostileCase[] = (
  [
    ['PUBREL', 0x6a, answered(`pubcomp ${ID}`)],
    ['SUBSCRIBE', 0x8a, answered(`suback ${ID} 1`)],
    ['UNSUBSCRIBE', 0xaa, answered(`unsuback ${ID}`)],
  ] as const
).flatMap(([type, header, outcome]) => {
  const of = (flags: number): Buffer => withFlags(SOUND_PACKETS[type], flags)
  return [
    loggedIn(`[3.1, 2.1] ${type} of 3.1 that is repeated`, of(header & 15), outcome, 'logged in with 3.1'),
    ...[0b0000, 0b0011, 0b0100, 0b1000, 0b1011].map((flags) =>
      loggedIn(`[3.1, 2.1] ${type} of 3.1 with flags ${bits(flags, 4)}`, of(flags), undefined, 'logged in with 3.1'),
    ),
  ]
})

/** Bodies that are a byte too short or too long; those of CONNECT, SUBSCRIBE and UNSUBSCRIBE are cut everywhere elsewhere. */
const WRONG_LENGTH: readonly HostileCase[] = [
  ...(['PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP'] as const).flatMap((type, index) => [
    loggedIn(`[3.${index + 4}.2] ${type} without its id`, cutTo(SOUND_PACKETS[type], 0)),
    loggedIn(`[3.${index + 4}.2] ${type} with half an id`, cutTo(SOUND_PACKETS[type], 1)),
    loggedIn(`[3.${index + 4}.3] ${type} with a third byte`, longer(SOUND_PACKETS[type], 0)),
    loggedIn(`[3.${index + 4}.3] ${type} with a second id`, longer(SOUND_PACKETS[type], 0, 1)),
  ]),
  loggedIn('[3.12.2] PINGREQ with a body', frame(0xc0, 0)),
  loggedIn('[3.12.3] PINGREQ with an id', frame(0xc0, u16(ID))),
  loggedIn('[3.14.2] DISCONNECT with a body', frame(0xe0, 0)),
  loggedIn('[3.14.3] DISCONNECT with the reason that MQTT 5 has', frame(0xe0, 4)),
  loggedIn('[3.14.3] DISCONNECT with reason and properties as in MQTT 5', frame(0xe0, 0, 0)),
]

export const FIXED_HEADER: readonly HostileCase[] = [
  ...WRONG_FLAGS,
  ...WRONG_PUBLISH_FLAGS,
  ...SERVER_ONLY,
  ...NO_TYPE,
  ...BEFORE_CONNECT,
  ...SECOND_CONNECT,
  ...FIVE_BYTES,
  ...MORE_LENGTH_THAN_NEEDED,
  ...WRONG_LENGTH,
  ...OLD_VERSION,
]
