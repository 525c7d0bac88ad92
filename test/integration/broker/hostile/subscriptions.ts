import { frame, packet, sized, u16 } from '../../../mqtt/packets.ts'
import { answered, COMMANDS, cutTo, ID, loggedIn, longer, type HostileCase } from './cases.ts'

/** `#` elsewhere than alone in the last level; `+` with neighbours in its level. */
const BAD_FILTERS: readonly [string, string][] = [
  ...[
    'a#',
    '#a',
    '##',
    'a/#/b',
    '#/',
    '#/a',
    'a/b#',
    'a/#b',
    'a/##',
    '/#/',
    '$SYS/#/a',
    '+/a#',
    'sport/tennis#',
    'sport/tennis/#/ranking',
  ].map((filter): [string, string] => ['MQTT-4.7.1-2', filter]),
  ...['a+', '+a', '++', 'a+/b', 'a/+b', 'a/b+', 'a/+b/c', 'a/b+/c', '/+a', '/++/', '+a/#', '$share/g+/a', 'sport+'].map(
    (filter): [string, string] => ['MQTT-4.7.1-3', filter],
  ),
  ['MQTT-4.7.1-2', '+#'],
  ['MQTT-4.7.1-2', '#+'],
  ['MQTT-4.7.1-2', 'a/+#'],
]

/** With whatever options, which the writer of packets would not write. */
const subscribe = (...filters: readonly [string, number][]): Buffer =>
  frame(0x82, u16(ID), ...filters.flatMap(([filter, options]) => [sized(filter), options]))
const one = (filter: string, qos = 0): Buffer => subscribe([filter, qos])

const FILTERS: readonly HostileCase[] = [
  ...BAD_FILTERS.flatMap(([clause, filter]) => [
    loggedIn(`[${clause}] SUBSCRIBE to ${filter}`, one(filter)),
    loggedIn(`[${clause}] UNSUBSCRIBE from ${filter}`, packet.unsubscribe(ID, filter)),
  ]),
  loggedIn('[MQTT-4.7.3-1] SUBSCRIBE to an empty filter', one('')),
  loggedIn('[MQTT-4.7.3-1] UNSUBSCRIBE from an empty filter', packet.unsubscribe(ID, '')),
  loggedIn('[MQTT-4.7.1-2] a bad filter behind a good one', packet.subscribe(ID, [COMMANDS, 0], ['a#', 0])),
  loggedIn('[MQTT-4.7.1-3] a bad filter in front of a good one', packet.subscribe(ID, ['a+', 0], [COMMANDS, 0])),
  loggedIn('[MQTT-4.7.3-1] an empty filter behind a good one', packet.subscribe(ID, [COMMANDS, 0], ['', 0])),
  loggedIn('[MQTT-4.7.1-2] UNSUBSCRIBE from a bad filter behind a good one', packet.unsubscribe(ID, COMMANDS, 'a#')),
  loggedIn('[MQTT-4.7.3-1] UNSUBSCRIBE from an empty filter behind a good one', packet.unsubscribe(ID, COMMANDS, '')),
]

const OPTIONS: readonly HostileCase[] = [3, 4, 5, 6, 8, 16, 32, 64, 127, 128, 129, 130, 252, 255].flatMap((options) => [
  loggedIn(`[MQTT-3-8.3-4] SUBSCRIBE with the QoS byte ${options}`, one(COMMANDS, options)),
  loggedIn(
    `[MQTT-3-8.3-4] SUBSCRIBE with the QoS byte ${options} behind a good one`,
    subscribe([COMMANDS, 1], [`${COMMANDS}/#`, options]),
  ),
])

const SUBSCRIBE = packet.subscribe(ID, ['t/a/1/cmd', 0], ['x', 1])
const UNSUBSCRIBE = packet.unsubscribe(ID, 't/a/1/cmd', 'x')
/** Lengths of their bodies at which a filter ends as it should. */
const ENDS = { SUBSCRIBE: 14, UNSUBSCRIBE: 13 } as const

const CUTS: readonly HostileCase[] = (['SUBSCRIBE', 'UNSUBSCRIBE'] as const).flatMap((type) => {
  const whole = type === 'SUBSCRIBE' ? SUBSCRIBE : UNSUBSCRIBE
  const section = type === 'SUBSCRIBE' ? '3.8.3' : '3.10.3'
  const empty = type === 'SUBSCRIBE' ? 'MQTT-3.8.3-3' : 'MQTT-3.10.3-2'
  return [
    ...Array.from({ length: whole[1] ?? 0 }, (_, length) => length)
      .filter((length) => length !== ENDS[type])
      .map((length) =>
        loggedIn(
          `[${length <= 2 ? empty : section}] ${type} that ends behind byte ${length} of its body`,
          cutTo(whole, length),
        ),
      ),
    loggedIn(`[${section}] ${type} with a byte behind its last filter`, longer(whole, 0)),
    loggedIn(`[${section}] ${type} with a length behind its last filter`, longer(whole, 0, 1)),
    loggedIn(`[${section}] ${type} with a filter of 65,535 bytes that are not there`, longer(whole, 0xff, 0xff, 0x61)),
  ]
})

const IDS: readonly HostileCase[] = (['logged in', 'logged in with 3.1'] as const).flatMap((stage) => [
  loggedIn(`[MQTT-2.3.1-1] SUBSCRIBE with id 0, ${stage}`, packet.subscribe(0, [COMMANDS, 0]), undefined, stage),
  loggedIn(`[MQTT-2.3.1-1] UNSUBSCRIBE with id 0, ${stage}`, packet.unsubscribe(0, COMMANDS), undefined, stage),
])

/** Sound, and not taken here: each is refused alone, among others that are granted, and the connection stays. */
const REFUSED_FILTERS = [
  'a/[bc]',
  'a/*',
  'a?',
  'a\\b',
  'x'.repeat(1025),
  '/'.repeat(16),
  '$SYS/#',
  '$SYS/+/a',
  '$share/g/t/a/1/cmd',
  '#',
  '+',
  '+/+',
  '/',
  '//',
  '/#',
  '/+',
  '+/#',
  't/#',
  't/+/1/cmd/#',
  't/a/2/cmd/#',
  't/b/1/#',
  't/a/1',
  't/%u/1/cmd',
  'T/a/1/cmd',
  't/a/1/cmd\u00e9',
]
const REFUSED: readonly HostileCase[] = REFUSED_FILTERS.flatMap((filter) => {
  const shown = filter.length > 20 ? `${filter.slice(0, 5)} of ${filter.length} bytes` : filter
  const three = packet.subscribe(ID, [`${COMMANDS}/#`, 1], [filter, 2], [COMMANDS, 2])
  return [
    loggedIn(`[MQTT-3.8.4-5] SUBSCRIBE to ${shown} and others`, three, answered(`suback ${ID} 1 128 2`)),
    loggedIn(`[MQTT-3.8.4-5] SUBSCRIBE to ${shown} alone`, one(filter), answered(`suback ${ID} 128`)),
    loggedIn(`[MQTT-3.10.4-5] UNSUBSCRIBE from ${shown}`, packet.unsubscribe(ID, filter), answered(`unsuback ${ID}`)),
  ]
})

const REPEATED = packet.subscribe(ID, [`${COMMANDS}/#`, 0], ['t/b/1/#', 0], [`${COMMANDS}/#`, 1])
const OTHERS: readonly HostileCase[] = [
  loggedIn('[MQTT-3.8.4-5] SUBSCRIBE with a filter that is repeated', REPEATED, answered(`suback ${ID} 1 128 1`)),
  loggedIn('[2.3.1] SUBSCRIBE with the last id', packet.subscribe(0xffff, [COMMANDS, 1]), answered('suback 65535 1')),
  loggedIn(
    '[MQTT-3.10.4-5] UNSUBSCRIBE from the same filter twice',
    packet.unsubscribe(ID, COMMANDS, COMMANDS),
    answered(`unsuback ${ID}`),
  ),
  ...[0x82, 0xa2].map((header) => {
    const type = header === 0x82 ? 'SUBSCRIBE' : 'UNSUBSCRIBE'
    const qos = header === 0x82 ? [0] : []
    const body = Array.from({ length: 9_000 }, () => Buffer.concat([sized('x'.repeat(5)), Buffer.from(qos)]))
    return loggedIn(
      `[2.2.3] ${type} beyond the limit`,
      frame(header, u16(ID), ...body.map((part) => Buffer.concat([part, sized('y'), Buffer.from(qos)]))),
    )
  }),
]

export const SUBSCRIPTIONS: readonly HostileCase[] = [...FILTERS, ...OPTIONS, ...CUTS, ...IDS, ...REFUSED, ...OTHERS]
