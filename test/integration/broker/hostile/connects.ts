import {
  answered,
  bits,
  CLOSED,
  connect,
  cutTo,
  first,
  HOSTILE,
  LOGIN,
  longer,
  refused,
  SOUND,
  STATUS,
  TELEMETRY,
  type ConnectFields,
  type HostileCase,
} from './cases.ts'

const OLD = { name: 'MQIsdp', level: 3 } as const
const WILL = [STATUS, HOSTILE] as const

/** The statement that a byte of CONNECT flags breaks, by the specification alone; undefined when it is sound. */
function brokenBy(flags: number): string | undefined {
  const has = (bit: number): boolean => (flags & (1 << bit)) !== 0
  const willQos = (flags >> 3) & 3
  if (has(0)) return 'MQTT-3.1.2-3'
  if (has(2) && willQos === 3) return 'MQTT-3.1.2-14'
  if (!has(2) && willQos > 0) return 'MQTT-3.1.2-13'
  if (!has(2) && has(5)) return 'MQTT-3.1.2-15'
  return has(6) && !has(7) ? 'MQTT-3.1.2-22' : undefined
}

/** All 214 bytes of flags that are not sound, each with just the fields that it announces. */
const FLAGS: readonly HostileCase[] = Array.from({ length: 256 }, (_, flags) => flags).flatMap((flags) => {
  const clause = brokenBy(flags)
  const { username, password } = LOGIN
  const fields: ConnectFields = {
    flags,
    ...((flags & 0x04) === 0 ? {} : { will: WILL }),
    ...((flags & 0x80) === 0 ? {} : { username }),
    ...((flags & 0x40) === 0 ? {} : { password }),
  }
  return clause === undefined ? [] : [first(`[${clause}] CONNECT with the flags ${bits(flags, 8)}`, connect(fields))]
})

/** Flags that announce what is not there, and fields that no flag announces. */
const UNANNOUNCED: readonly HostileCase[] = [
  first('[MQTT-3.1.2-18] a username without its flag', connect({ flags: 0x02, username: 'a/1' })),
  first('[MQTT-3.1.2-18] username and password without their flags', connect({ ...LOGIN, flags: 0x02 })),
  first('[MQTT-3.1.2-19] a username flag without username', connect({ flags: 0x82 })),
  first('[MQTT-3.1.2-20] a password without its flag', connect({ ...LOGIN, flags: 0x82 })),
  first('[MQTT-3.1.2-21] a password flag without password', connect({ username: 'a/1' })),
  first('[MQTT-3.1.2-9] a will flag without will', connect({ flags: 0x06 })),
  first('[MQTT-3.1.2-9] a will flag with a topic alone', cutTo(connect({ flags: 0x06, will: [STATUS, ''] }), 33)),
  first('[MQTT-3.1.2-11] a will without its flag', connect({ flags: 0x02, will: WILL })),
  first('[MQTT-3.1.2-11] a will without its flag, behind it the login', connect({ ...LOGIN, will: WILL })),
  first('[MQTT-3.1.4-1] a byte behind the password', longer(connect(LOGIN), 0)),
  first('[MQTT-3.1.4-1] a whole field behind the password', longer(connect(LOGIN), 0, 1, 0x78)),
  first('[MQTT-3.1.4-1] a byte behind the client id', longer(connect({ flags: 0x02 }), 0)),
]

const whole = connect({ ...LOGIN, flags: 0xc6, clientId: 'x', will: [STATUS, 'w'] })
const CUTS: readonly HostileCase[] = Array.from({ length: whole[1] ?? 0 }, (_, length) =>
  first(`[MQTT-3.1.4-1] CONNECT that ends behind byte ${length} of its body`, cutTo(whole, length)),
)

const NAMES: readonly HostileCase[] = [
  ...[
    '',
    'M',
    'MQT',
    'MQTTT',
    'mqtt',
    'Mqtt',
    'MQTt',
    ' MQTT',
    'MQTT ',
    'MQIsd',
    'MQisdp',
    'MQIsdpp',
    'AMQP',
    'HTTP',
  ].map((name) => first(`[MQTT-3.1.2-1] the protocol name "${name}"`, connect({ ...LOGIN, name }))),
  first('[MQTT-3.1.2-1] the protocol name "__proto__"', connect({ ...LOGIN, name: '__proto__' })),
  first('[MQTT-3.1.2-1] a protocol name of 4,000 bytes', connect({ ...LOGIN, name: 'M'.repeat(4_000) })),
  first(
    '[MQTT-1.5.3-1] a protocol name that is not UTF-8',
    connect({ ...LOGIN, name: Buffer.from([0x4d, 0x51, 0xff, 0x54]) }),
  ),
  first('[MQTT-1.5.3-2] a protocol name with NUL', connect({ ...LOGIN, name: 'MQT\0' })),
]

const LEVELS: readonly HostileCase[] = [
  ...[0, 1, 2, 3, 6, 7, 64, 127, 128, 131, 132, 133, 255].map((level) =>
    first(`[MQTT-3.1.2-2] level ${level} of MQTT`, connect({ ...LOGIN, level }), refused(1)),
  ),
  ...[0, 1, 2, 4, 5, 6, 131, 255].map((level) =>
    first(`[MQTT-3.1.2-2] level ${level} of MQIsdp`, connect({ ...LOGIN, name: 'MQIsdp', level }), refused(1)),
  ),
  first('[MQTT-3.1.2-2] level 6, whatever follows', longer(connect({ level: 6, flags: 0xff }), 1, 2, 3), refused(1)),
]

const CLIENT_IDS: readonly HostileCase[] = [
  first('[MQTT-3.1.3-8] no client id, no clean session', connect({ ...LOGIN, flags: 0xc0, clientId: '' }), refused(2)),
  first(
    '[MQTT-3.1.3-8] the same with a will',
    connect({ ...LOGIN, flags: 0xc4, clientId: '', will: WILL }),
    refused(2),
  ),
  first('[MQTT-3.1.3-8] the same without login', connect({ flags: 0, clientId: '' }), refused(2)),
  first('[MQTT-3.1.3-7] no client id, clean session', connect({ ...LOGIN, clientId: '' }), answered('connack 0 0')),
  first('[MQTT-3.1.3-9] no client id in 3.1', connect({ ...LOGIN, ...OLD, clientId: '' }), refused(2)),
  first(
    '[MQTT-3.1.3-9] no client id in 3.1, no clean session',
    connect({ ...LOGIN, ...OLD, flags: 0xc0, clientId: '' }),
    refused(2),
  ),
  first('[MQTT-3.1.3-9] a client id of 257 bytes', connect({ ...LOGIN, clientId: 'x'.repeat(257) }), refused(2)),
  first(
    '[MQTT-3.1.3-9] a client id of 129 letters of two bytes',
    connect({ ...LOGIN, clientId: 'é'.repeat(129) }),
    refused(2),
  ),
  first('[MQTT-3.1.3-9] a client id of 3,000 bytes', connect({ ...LOGIN, clientId: 'x'.repeat(3_000) }), refused(2)),
  first(
    '[MQTT-3.1.3-5] a client id of 256 bytes',
    connect({ ...LOGIN, clientId: 'y'.repeat(256) }),
    answered('connack 0 0'),
  ),
  first(
    '[MQTT-3.1.3-5] a client id of all characters',
    connect({ ...LOGIN, clientId: '09azAZ' }),
    answered('connack 0 0'),
  ),
  first(
    '[MQTT-3.1.3-4] a client id of glob characters',
    connect({ ...LOGIN, clientId: '*?[a-z]\\' }),
    answered('connack 0 0'),
  ),
  first(
    '[MQTT-3.1.3-4] a client id of wildcards',
    connect({ ...LOGIN, clientId: '+/#/$SYS' }),
    answered('connack 0 0'),
  ),
  first(
    '[MQTT-3.1.3-4] a client id of placeholders',
    connect({ ...LOGIN, clientId: '%u%c{tenant}' }),
    answered('connack 0 0'),
  ),
]

const will = (topic: string, flags = 0xc6, clientId: string = HOSTILE): Buffer =>
  connect({ ...LOGIN, flags, clientId, will: [topic, HOSTILE] })
const WILLS: readonly HostileCase[] = [
  ...['#', '+', 't/a/1/#', 't/a/+/status', 't/a/1/status+', 't/a/1/st#tus'].flatMap((topic) => [
    first(`[MQTT-4.7.1-1] a will for ${topic}`, will(topic)),
    first(`[MQTT-4.7.1-1] a retained will of QoS 2 for ${topic}`, will(topic, 0xf6)),
  ]),
  first('[MQTT-4.7.3-1] a will for an empty topic', will('')),
  first('[MQTT-4.7.3-1] a retained will of QoS 1 for an empty topic', will('', 0xee)),
  // Sound, and refused for other reasons: the client is told.
  first('[MQTT-3.1.4-3] a will for another device', will('t/a/2/status'), refused(5)),
  first('[MQTT-3.1.4-3] a will for another tenant', will('t/b/1/telemetry'), refused(5)),
  first('[MQTT-3.1.4-3] a will for $SYS', will('$SYS/broker'), refused(5)),
  first('[MQTT-3.1.4-3] a will for a misspelt topic', will('t/a/1/telemetri'), refused(5)),
  first('[MQTT-3.1.4-3] a will for a topic of 1,025 bytes', will(`${STATUS}/`.padEnd(1025, 'x')), refused(5)),
  first(
    '[MQTT-3.1.2-9] an empty will',
    connect({ ...LOGIN, flags: 0xc6, clientId: 'w0', will: [STATUS, ''] }),
    answered('connack 0 0'),
  ),
  first(
    '[MQTT-3.1.2-9] a will of bytes that are no text',
    connect({ ...LOGIN, flags: 0xc6, clientId: 'w1', will: [TELEMETRY, Buffer.from([0, 0xff])] }),
    answered('connack 0 0'),
  ),
]

/** MQTT 3.1 gives no meaning to the reserved bit, and none to the flags of the fixed header of CONNECT. */
const OLD_VERSION: readonly HostileCase[] = [
  ...[1, 8, 15].map((nibble) =>
    first(
      `[3.1, 2.1] CONNECT of 3.1 with flags ${bits(nibble, 4)}`,
      connect({ ...LOGIN, ...OLD, header: 0x10 | nibble, clientId: `o${nibble}` }),
      answered('connack 0 0'),
    ),
  ),
  first(
    '[3.1, 3.1] CONNECT of 3.1 with the reserved flag',
    connect({ ...LOGIN, ...OLD, flags: 0xc3, clientId: 'o' }),
    answered('connack 0 0'),
  ),
  first('[3.1, 3.1] a will of QoS 3 in 3.1', connect({ ...LOGIN, ...OLD, flags: 0xde, will: WILL }), CLOSED),
  first('[3.1, 3.1] a retained will of 3.1 without will flag', connect({ ...LOGIN, ...OLD, flags: 0xe2 }), CLOSED),
  first('[3.1, 3.1] a password of 3.1 without username', connect({ ...OLD, flags: 0x42, password: 's' }), CLOSED),
  first('[3.1, 3.1] CONNECT of 3.1 that ends in its keepalive', cutTo(connect({ ...LOGIN, ...OLD }), 11), CLOSED),
]

/** What follows a CONNECT that was refused is not looked at; see also what is sent behind each case. */
const BEHIND: readonly HostileCase[] = [
  first(
    '[MQTT-3.1.4-5] a good CONNECT behind a refused one',
    Buffer.concat([connect({ ...LOGIN, level: 6 }), connect(LOGIN)]),
    refused(1),
  ),
  first(
    '[MQTT-3.1.4-5] a good CONNECT behind a malformed one',
    Buffer.concat([connect({ ...LOGIN, flags: 0xc3 }), connect(LOGIN)]),
  ),
  first(
    '[MQTT-3.1.0-2] two at once',
    Buffer.concat([connect({ ...LOGIN, clientId: `${SOUND}2` }), connect({ ...LOGIN, clientId: `${SOUND}2` })]),
    { answers: ['connack 0 0'], lives: false },
  ),
]

export const CONNECTS: readonly HostileCase[] = [
  ...FLAGS,
  ...UNANNOUNCED,
  ...CUTS,
  ...NAMES,
  ...LEVELS,
  ...CLIENT_IDS,
  ...WILLS,
  ...OLD_VERSION,
  ...BEHIND,
]
