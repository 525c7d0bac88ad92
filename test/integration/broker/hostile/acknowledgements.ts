import { frame, packet, u16 } from '../../../mqtt/packets.ts'
import { answered, first, ID, loggedIn, SOUND, STATUS, TELEMETRY, type HostileCase, type Outcome } from './cases.ts'

const HEADERS = { PUBACK: 0x40, PUBREC: 0x50, PUBREL: 0x62, PUBCOMP: 0x70 } as const
const TYPES = ['PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP'] as const

const IDS: readonly HostileCase[] = TYPES.flatMap((type) => [
  loggedIn(`[MQTT-2.3.1-1] ${type} with id 0`, frame(HEADERS[type], u16(0))),
  loggedIn(`[MQTT-2.3.1-1] ${type} with id 0 in 3.1`, frame(HEADERS[type], u16(0)), undefined, 'logged in with 3.1'),
])

/** Of a message that nobody sent: it may be of an earlier connection, so the handshake is ended and nobody is closed. */
function unsolicited(type: (typeof TYPES)[number], id: number): Outcome {
  if (type === 'PUBREC') return answered(`pubrel ${id}`)
  return type === 'PUBREL' ? answered(`pubcomp ${id}`) : answered()
}

const UNSOLICITED: readonly HostileCase[] = TYPES.flatMap((type) =>
  (['logged in', 'logged in with 3.1', 'logged in with a session'] as const).flatMap((stage) =>
    [1, ID, 0xffff].map((id) =>
      loggedIn(
        `[MQTT-2.3.1-6] ${type} that nobody waits for, id ${id}, ${stage}`,
        frame(HEADERS[type], u16(id)),
        unsolicited(type, id),
        stage,
      ),
    ),
  ),
)

const TWICE: readonly HostileCase[] = [
  ...TYPES.map((type) => {
    const { answers } = unsolicited(type, ID)
    const bytes = frame(HEADERS[type], u16(ID))
    return loggedIn(
      `[MQTT-2.3.1-6] ${type} that nobody waits for, twice`,
      Buffer.concat([bytes, bytes]),
      answered(...answers, ...answers),
    )
  }),
  loggedIn(
    '[MQTT-4.3.3-2] PUBREL of telemetry, twice',
    Buffer.concat([packet.publish(TELEMETRY, SOUND, { qos: 2, id: ID }), packet.pubrel(ID), packet.pubrel(ID)]),
    answered(`pubrec ${ID}`, `pubcomp ${ID}`, `pubcomp ${ID}`),
  ),
  loggedIn(
    '[MQTT-4.3.3-2] PUBREL of a status, twice',
    Buffer.concat([packet.publish(STATUS, SOUND, { qos: 2, id: ID }), packet.pubrel(ID), packet.pubrel(ID)]),
    answered(`pubrec ${ID}`, `pubcomp ${ID}`, `pubcomp ${ID}`),
  ),
  loggedIn(
    '[MQTT-4.3.3-2] PUBACK in place of PUBREL',
    Buffer.concat([packet.publish(TELEMETRY, SOUND, { qos: 2, id: ID }), packet.puback(ID)]),
    answered(`pubrec ${ID}`),
  ),
]

/** Longer than a packet may be: closed at its first bytes, without waiting for the rest. PUBLISH is let pass when known. */
const TOO_LONG: readonly HostileCase[] = [
  ...(
    [
      'CONNECT',
      'CONNACK',
      'PUBLISH',
      'PUBACK',
      'PUBREC',
      'PUBREL',
      'PUBCOMP',
      'SUBSCRIBE',
      'SUBACK',
      'UNSUBSCRIBE',
      'UNSUBACK',
      'PINGREQ',
      'PINGRESP',
      'DISCONNECT',
    ] as const
  ).flatMap((type, index) => {
    const flags = [6, 8, 10].includes(index + 1) ? 2 : 0
    const header = ((index + 1) << 4) | flags
    const longest = Buffer.from([header, 0xff, 0xff, 0xff, 0x7f])
    return [
      first(`[2.2.3] ${type} of 256 MB first`, longest),
      first(`[2.2.3] ${type} of 5,000 bytes first`, frame(header, Buffer.alloc(5_000))),
      ...(type === 'PUBLISH'
        ? []
        : [
            loggedIn(`[2.2.3] ${type} of 256 MB`, longest),
            loggedIn(`[2.2.3] ${type} of 70,000 bytes`, frame(header, u16(ID), Buffer.alloc(70_000))),
          ]),
    ]
  }),
]

export const ACKNOWLEDGEMENTS: readonly HostileCase[] = [...IDS, ...UNSOLICITED, ...TWICE, ...TOO_LONG]
