import { frame, packet, u16 } from '../../../mqtt/packets.ts'
import { answered, HOSTILE, ID, loggedIn, SOUND, STATUS, TELEMETRY, type HostileCase, type Outcome } from './cases.ts'

const QOS = [0, 1, 2] as const
const HEADERS = [0x30, 0x32, 0x34] as const

/** What is acknowledged, if it is to be; a message of QoS 0 is not. */
function acknowledged(qos: 0 | 1 | 2): Outcome {
  return qos === 0 ? answered() : answered(`${qos === 1 ? 'puback' : 'pubrec'} ${ID}`)
}

const WILDCARDS = [
  '+',
  '#',
  '/+',
  '/#',
  't/a/+/telemetry',
  't/+/1/telemetry',
  't/a/1/#',
  't/a/1/telemetry+',
  't/a/1/tele#metry',
  '+/a/1/telemetry',
  't/a/1/telemetry/#',
  '$SYS/#',
  '$share/g/#',
]
const BAD_TOPICS: readonly HostileCase[] = QOS.flatMap((qos) => [
  ...WILDCARDS.map((topic) =>
    loggedIn(`[MQTT-3.3.2-2] PUBLISH of QoS ${qos} to ${topic}`, packet.publish(topic, HOSTILE, { qos, id: ID })),
  ),
  loggedIn(`[MQTT-4.7.3-1] PUBLISH of QoS ${qos} to an empty topic`, packet.publish('', HOSTILE, { qos, id: ID })),
  loggedIn(
    `[MQTT-4.7.3-1] retained PUBLISH of QoS ${qos} to an empty topic`,
    packet.publish('', '', { qos, id: ID, retain: true }),
  ),
])

/** Where the topic and the id end too late. */
const CUT: readonly HostileCase[] = QOS.flatMap((qos) => {
  const header = HEADERS[qos]
  const at = (what: string): string => `[3.3.2] PUBLISH of QoS ${qos} ${what}`
  return [
    loggedIn(at('without a body'), frame(header)),
    loggedIn(at('with half a topic length'), frame(header, 0)),
    loggedIn(at('with a topic length alone'), frame(header, u16(5))),
    loggedIn(at('that ends in its topic'), frame(header, u16(TELEMETRY.length), Buffer.from(TELEMETRY.slice(0, -1)))),
    loggedIn(at('with a topic of 65,535 bytes that are not there'), frame(header, u16(0xffff), Buffer.from(TELEMETRY))),
    loggedIn(at('with a topic length in the wrong order'), frame(header, TELEMETRY.length, 0, Buffer.from(TELEMETRY))),
    ...(qos === 0
      ? []
      : [
          loggedIn(at('without id'), frame(header, u16(TELEMETRY.length), Buffer.from(TELEMETRY))),
          loggedIn(at('with half an id'), frame(header, u16(TELEMETRY.length), Buffer.from(TELEMETRY), 0)),
        ]),
  ]
})

const IDS: readonly HostileCase[] = [1, 2].flatMap((qos) => [
  loggedIn(`[MQTT-2.3.1-1] telemetry of QoS ${qos} with id 0`, packet.publish(TELEMETRY, HOSTILE, { qos, id: 0 })),
  loggedIn(
    `[MQTT-2.3.1-1] telemetry of QoS ${qos} with id 0, repeated`,
    packet.publish(TELEMETRY, HOSTILE, { qos, id: 0, dup: true }),
  ),
  loggedIn(`[MQTT-2.3.1-1] a status of QoS ${qos} with id 0`, packet.publish(STATUS, HOSTILE, { qos, id: 0 })),
  loggedIn(
    `[MQTT-2.3.1-1] a message of QoS ${qos} that is refused, with id 0`,
    packet.publish('t/b/1/telemetry', HOSTILE, { qos, id: 0 }),
  ),
  loggedIn(
    `[MQTT-2.3.1-1] id 0 of QoS ${qos} in 3.1`,
    packet.publish(TELEMETRY, HOSTILE, { qos, id: 0 }),
    undefined,
    'logged in with 3.1',
  ),
])

const LONG = Buffer.alloc(70_000, HOSTILE)
/** Beyond the packet size: the beginning is checked all the same. */
const TOO_LONG: readonly HostileCase[] = [
  ...QOS.map((qos) =>
    loggedIn(
      `[3.3.2] PUBLISH of QoS ${qos} beyond the limit`,
      packet.publish(TELEMETRY, LONG, { qos, id: ID }),
      acknowledged(qos),
    ),
  ),
  loggedIn('[MQTT-3.3.1-4] PUBLISH of QoS 3 beyond the limit', frame(0x36, u16(1), Buffer.from('t'), u16(ID), LONG)),
  loggedIn('[MQTT-3.3.1-2] PUBLISH of QoS 0 with DUP beyond the limit', frame(0x38, u16(1), Buffer.from('t'), LONG)),
  loggedIn('[MQTT-2.3.1-1] PUBLISH with id 0 beyond the limit', packet.publish(TELEMETRY, LONG, { qos: 1, id: 0 })),
  loggedIn('[MQTT-3.3.2-2] PUBLISH with a wildcard beyond the limit', packet.publish('t/a/1/#', LONG)),
  loggedIn('[MQTT-4.7.3-1] PUBLISH without topic beyond the limit', packet.publish('', LONG, { qos: 1, id: ID })),
  loggedIn('[MQTT-1.5.3-1] PUBLISH with a bad topic beyond the limit', frame(0x30, u16(2), 0xc0, 0x80, LONG)),
  loggedIn('[MQTT-4.7.3-3] PUBLISH with a topic of 65,535 bytes, beyond the limit', frame(0x30, u16(0xffff), LONG)),
]

/** Sound topics that nobody here may or can publish to: acknowledged, dropped and kept as dead letters. */
const REFUSED_TOPICS: readonly [string, string][] = [
  ['MQTT-4.7.2-1', '$SYS/broker'],
  ['MQTT-4.7.2-1', '$share/g/t/a/1/telemetry'],
  ['MQTT-4.7.3-3', `${STATUS}/`.padEnd(1025, 'x')],
  ['MQTT-4.7.3-3', `${STATUS}${'/'.repeat(20)}`],
  ['MQTT-4.7.3-4', 'T/a/1/telemetry'],
  ['MQTT-4.7.3-4', 't/a/1/telemetry/'],
  ['MQTT-4.7.3-4', '/t/a/1/telemetry'],
  ['MQTT-4.7.3-4', 't//a/1/telemetry'],
  ['MQTT-4.7.3-4', 't/a/1/telemetry '],
  ['4.7.3', '/'],
  ['4.7.3', 't/%u/1/telemetry'],
  ['4.7.3', 't/a/../b/1/telemetry'],
  ['MQTT-3.3.5-2', 't/b/1/telemetry'],
  ['MQTT-3.3.5-2', 't/a/1/cmd/x'],
]
const REFUSED: readonly HostileCase[] = REFUSED_TOPICS.flatMap(([clause, topic]) =>
  QOS.map((qos) =>
    loggedIn(
      `[${clause}] PUBLISH of QoS ${qos} to "${topic.slice(0, 40)}"${topic.length > 40 ? ` of ${topic.length} bytes` : ''}`,
      packet.publish(topic, HOSTILE, { qos, id: ID }),
      acknowledged(qos),
    ),
  ),
)

/** Sound, and looks odd. */
const ODD: readonly HostileCase[] = [
  ...[1, 2].map((qos) => {
    const bytes = packet.publish(TELEMETRY, SOUND, { qos, id: ID, dup: true })
    return loggedIn(`[MQTT-3.3.1-3] PUBLISH of QoS ${qos} with DUP that is new`, bytes, acknowledged(qos === 1 ? 1 : 2))
  }),
  loggedIn(
    '[2.3.1] PUBLISH with the last id',
    packet.publish(TELEMETRY, SOUND, { qos: 1, id: 0xffff }),
    answered('puback 65535'),
  ),
  loggedIn(
    '[3.3.3] telemetry without payload',
    packet.publish(TELEMETRY, '', { qos: 1, id: ID }),
    answered(`puback ${ID}`),
  ),
  loggedIn(
    '[MQTT-3.3.1-10] a retained status without payload',
    packet.publish(STATUS, '', { qos: 1, id: ID, retain: true }),
    answered(`puback ${ID}`),
  ),
  loggedIn(
    '[MQTT-4.3.3-2] the same id of QoS 2 twice',
    Buffer.concat([
      packet.publish(TELEMETRY, SOUND, { qos: 2, id: ID }),
      packet.publish(TELEMETRY, HOSTILE, { qos: 2, id: ID, dup: true }),
    ]),
    answered(`pubrec ${ID}`, `pubrec ${ID}`),
  ),
]

export const PUBLISHES: readonly HostileCase[] = [...BAD_TOPICS, ...CUT, ...IDS, ...TOO_LONG, ...REFUSED, ...ODD]
