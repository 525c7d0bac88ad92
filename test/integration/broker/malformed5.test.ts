import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { logIn5, PacketClient } from '../../mqtt/packet-client.ts'
import { allOf, frame, packet, packet5, property, sized, u16 } from '../../mqtt/packets.ts'

const TELEMETRY = 't/a/1/telemetry'
const acknowledge = (header: number, id: number, ...rest: number[]): Buffer => frame(header, u16(id), ...rest)
const with1 = (...properties: Buffer[]): Buffer =>
  packet5.publish(TELEMETRY, 'x', { qos: 1, id: 9, properties: Buffer.concat(properties) })
const subscribe = (properties: Buffer, filter: string, options: number): Buffer =>
  frame(0x82, u16(9), properties, sized(filter), Buffer.from([options]))
const FILTER = 't/a/1/cmd/#'
const NONE = Buffer.from([0])
/** Properties that are not allowed in any packet of a client that is logged in, but for DISCONNECT's two. */
const FOREIGN = [
  property.two(0x13, 5),
  property.byte(0x17, 1),
  property.four(0x18, 1),
  property.text(0x12, 'p'),
  property.text(0x15, 'p'),
  property.text(0x1a, 'p'),
  property.two(0x21, 5),
  property.two(0x22, 5),
  property.byte(0x24, 1),
  property.byte(0x25, 1),
  property.four(0x27, 1),
  property.byte(0x28, 1),
  property.byte(0x29, 1),
  property.byte(0x2a, 1),
  property.byte(0x00, 1),
  property.byte(0x04, 1),
  property.byte(0x7f, 1),
]

/** What a logged-in client may not send, by clause, and the reason it is told before the connection closes. */
const MALFORMED: readonly [string, number, Buffer][] = [
  ['a second CONNECT [MQTT-3.1.0-2]', 0x82, packet5.connect()],
  ['CONNACK [2.1.2]', 0x82, Buffer.from([0x20, 3, 0, 0, 0])],
  ['SUBACK [2.1.2]', 0x82, frame(0x90, Buffer.from([0, 1, 0, 0]))],
  ['UNSUBACK [2.1.2]', 0x82, frame(0xb0, Buffer.from([0, 1, 0, 0]))],
  ['PINGRESP [2.1.2]', 0x82, Buffer.from([0xd0, 0])],
  ['AUTH without a method [MQTT-4.12.0-6]', 0x82, Buffer.from([0xf0, 0])],
  ['type 0 [2.1.2]', 0x82, Buffer.from([0, 0])],
  ['PUBLISH with QoS 3 [MQTT-3.3.1-4]', 0x81, frame(0x36, sized(TELEMETRY), u16(1), NONE)],
  ['PUBLISH of QoS 0 with DUP [MQTT-3.3.1-2]', 0x81, frame(0x38, sized(TELEMETRY), NONE)],
  ['PUBLISH with id 0 [MQTT-2.2.1-2]', 0x82, frame(0x32, sized(TELEMETRY), u16(0), NONE)],
  ['PUBLISH without id', 0x81, frame(0x32, sized(TELEMETRY))],
  ['PUBLISH without properties [3.3.2.3.1]', 0x81, frame(0x30, sized(TELEMETRY))],
  ['PUBLISH that ends in its topic', 0x81, frame(0x30, Buffer.from([0, 9, 0x74]))],
  ['PUBLISH without anything', 0x81, Buffer.from([0x30, 0])],
  ['PUBLISH with an empty topic and no alias [3.3.2.1]', 0x82, packet5.publish('', 'x')],
  ['PUBLISH with + [MQTT-3.3.2-2]', 0x81, packet5.publish('t/a/+/telemetry', 'x')],
  ['PUBLISH with # [MQTT-3.3.2-2]', 0x81, packet5.publish('t/a/1/#', 'x')],
  ['PUBLISH with NUL in the topic [MQTT-1.5.4-2]', 0x81, packet5.publish('t/a/1/\0', 'x')],
  ['PUBLISH with a surrogate [MQTT-1.5.4-1]', 0x81, frame(0x30, Buffer.from([0, 3, 0xed, 0xa0, 0x80]), NONE)],
  ['PUBLISH with alias 0 [MQTT-3.3.2-8]', 0x94, with1(property.two(0x23, 0))],
  ['PUBLISH with an alias beyond the maximum [MQTT-3.3.2-9]', 0x94, with1(property.two(0x23, 17))],
  [
    'PUBLISH with an alias that stands for nothing [3.3.2.3.4]',
    0x82,
    packet5.publish('', 'x', { properties: property.two(0x23, 3) }),
  ],
  ['PUBLISH with two aliases [3.3.2.3.4]', 0x82, with1(property.two(0x23, 1), property.two(0x23, 1))],
  ['PUBLISH with payload format 2 [3.3.2.3.2]', 0x82, with1(property.byte(1, 2))],
  ['PUBLISH with two payload formats [3.3.2.3.2]', 0x82, with1(property.byte(1, 1), property.byte(1, 1))],
  ['PUBLISH with a payload format that is cut', 0x81, with1(Buffer.from([1]))],
  ['PUBLISH with two expiries [3.3.2.3.3]', 0x82, with1(property.four(2, 1), property.four(2, 1))],
  ['PUBLISH with an expiry that is cut', 0x81, with1(Buffer.from([2, 0, 0]))],
  ['PUBLISH with a wildcard to respond to [MQTT-3.3.2-14]', 0x82, with1(property.text(8, 'a/#'))],
  ['PUBLISH with two topics to respond to [3.3.2.3.5]', 0x82, with1(property.text(8, 'a'), property.text(8, 'a'))],
  ['PUBLISH with an empty topic to respond to [MQTT-4.7.3-1]', 0x82, with1(property.text(8, ''))],
  ['PUBLISH with two content types [3.3.2.3.9]', 0x82, with1(property.text(3, 'a'), property.text(3, 'a'))],
  ['PUBLISH with a content type that is not UTF-8 [MQTT-3.3.2-19]', 0x81, with1(Buffer.from([3, 0, 1, 0xff]))],
  ['PUBLISH with half a user property [MQTT-3.3.2-17]', 0x81, with1(property.text(0x26, 'k'))],
  ['PUBLISH with correlation data that is cut', 0x81, with1(Buffer.from([9, 0, 5, 1]))],
  ['PUBLISH with a subscription identifier [MQTT-3.3.4-6]', 0x81, with1(Buffer.from([0x0b, 1]))],
  ['PUBLISH with properties beyond its end', 0x81, frame(0x30, sized(TELEMETRY), Buffer.from([9, 1, 1]))],
  [
    'PUBLISH with an overlong length of properties [MQTT-1.5.5-1]',
    0x81,
    frame(0x30, sized('a'), Buffer.from([0x80, 0])),
  ],
  [
    'PUBLISH with a length of properties of five bytes [1.5.5]',
    0x81,
    frame(0x30, sized('a'), Buffer.from([0x80, 0x80, 0x80, 0x80, 1])),
  ],
  ['SUBSCRIBE with bad flags [MQTT-3.8.1-1]', 0x81, frame(0x80, packet5.subscribe(9, [FILTER, 0]).subarray(2))],
  ['SUBSCRIBE with id 0 [MQTT-2.2.1-3]', 0x82, packet5.subscribe(0, [FILTER, 0])],
  ['SUBSCRIBE without a filter [MQTT-3.8.3-2]', 0x82, frame(0x82, u16(9), NONE)],
  ['SUBSCRIBE without anything', 0x81, frame(0x82, Buffer.alloc(0))],
  ['SUBSCRIBE without options', 0x81, frame(0x82, u16(9), NONE, sized(FILTER))],
  ['SUBSCRIBE with QoS 3 [3.8.3.1]', 0x82, subscribe(NONE, FILTER, 3)],
  ['SUBSCRIBE with retain handling 3 [3.8.3.1]', 0x82, subscribe(NONE, FILTER, 0x30)],
  ['SUBSCRIBE with reserved bits [MQTT-3.8.3-5]', 0x81, subscribe(NONE, FILTER, 0x40)],
  ['SUBSCRIBE to an empty filter [MQTT-4.7.3-1]', 0x81, subscribe(NONE, '', 0)],
  ['SUBSCRIBE to a# [MQTT-4.7.1-1]', 0x81, subscribe(NONE, 'a#', 0)],
  ['SUBSCRIBE to a/#/b [MQTT-4.7.1-1]', 0x81, subscribe(NONE, 'a/#/b', 0)],
  ['SUBSCRIBE to a+/b [MQTT-4.7.1-2]', 0x81, subscribe(NONE, 'a+/b', 0)],
  ['SUBSCRIBE with NUL [MQTT-1.5.4-2]', 0x81, subscribe(NONE, 'a\0', 0)],
  ['SUBSCRIBE to a share without filter [MQTT-4.8.2-2]', 0x82, subscribe(NONE, '$share/g', 0)],
  ['SUBSCRIBE to a share with + in its name [MQTT-4.8.2-1]', 0x82, subscribe(NONE, '$share/+/a', 0)],
  ['SUBSCRIBE to a share, not local [MQTT-3.8.3-4]', 0x82, subscribe(NONE, '$share/g/a', 4)],
  ['SUBSCRIBE with identifier 0 [3.8.2.1.2]', 0x82, subscribe(Buffer.from([2, 0x0b, 0]), FILTER, 0)],
  ['SUBSCRIBE with two identifiers [3.8.2.1.2]', 0x82, subscribe(Buffer.from([4, 0x0b, 1, 0x0b, 1]), FILTER, 0)],
  ['UNSUBSCRIBE with bad flags [MQTT-3.10.1-1]', 0x81, frame(0xa0, packet5.unsubscribe(9, 'a').subarray(2))],
  ['UNSUBSCRIBE without a filter [MQTT-3.10.3-2]', 0x82, frame(0xa2, u16(9), NONE)],
  ['UNSUBSCRIBE with id 0 [MQTT-2.2.1-3]', 0x82, packet5.unsubscribe(0, 'a')],
  ['UNSUBSCRIBE from an empty filter [MQTT-4.7.3-1]', 0x81, packet5.unsubscribe(9, '')],
  ['DISCONNECT with flags [MQTT-3.14.1-1]', 0x81, Buffer.from([0xe1, 0])],
  ['DISCONNECT with half a property', 0x81, frame(0xe0, 0, allOf(Buffer.from([0x11, 0])))],
  ['DISCONNECT with bytes behind its end', 0x81, frame(0xe0, Buffer.from([0, 0, 0]))],
  ['PINGREQ with flags [2.1.3]', 0x81, Buffer.from([0xc1, 0])],
  ['PINGREQ with a body [3.12]', 0x81, frame(0xc0, NONE)],
  ['a remaining length of five bytes [2.1.4]', 0x81, Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x7f])],
  ['SUBSCRIBE beyond the maximum packet size [MQTT-3.2.2-15]', 0x95, frame(0x82, Buffer.alloc(70_000))],
  ...(['PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP'] as const).flatMap((name, index): [string, number, Buffer][] => {
    const header = [0x40, 0x50, 0x62, 0x70][index] ?? 0
    return [
      [`${name} with flags [2.1.3]`, 0x81, acknowledge(header ^ 1, 1)],
      [`${name} with id 0 [2.2.1]`, 0x82, acknowledge(header, 0)],
      [`${name} without id`, 0x81, frame(header, Buffer.alloc(0))],
      [`${name} with half an id`, 0x81, frame(header, Buffer.from([1]))],
      [`${name} with an unknown reason [MQTT-3.4.2-1]`, 0x82, acknowledge(header, 1, 0xff)],
      [`${name} with properties beyond its end`, 0x81, acknowledge(header, 1, 0, 1)],
      [`${name} with bytes behind its end`, 0x81, acknowledge(header, 1, 0, 0, 0)],
      [`${name} with two reason strings`, 0x82, acknowledge(header, 1, 0, 8, ...twice(property.text(0x1f, 'p')))],
      ...FOREIGN.map((foreign): [string, number, Buffer] => {
        return [`${name} with property ${foreign[0]}`, 0x81, acknowledge(header, 1, 0, ...allOf(foreign))]
      }),
    ]
  }),
  ...FOREIGN.flatMap((foreign): [string, number, Buffer][] => [
    [`PUBLISH with property ${foreign[0]}`, 0x81, with1(foreign)],
    [`SUBSCRIBE with property ${foreign[0]}`, 0x81, subscribe(allOf(foreign), FILTER, 0)],
    [`UNSUBSCRIBE with property ${foreign[0]}`, 0x81, frame(0xa2, u16(9), allOf(foreign), sized('a'))],
    [`DISCONNECT with property ${foreign[0]}`, 0x81, frame(0xe0, 0, allOf(foreign))],
  ]),
]

function twice(bytes: Buffer): number[] {
  return [...bytes, ...bytes]
}

describe('a malformed packet of MQTT 5', () => {
  it('closes the connection with its reason, counted; what came before it is acknowledged', async () => {
    const { port, log, broker, metric } = await startBroker()
    for (const [name, reason, bytes] of MALFORMED) {
      const client = await logIn5(port)
      const stored = log.records.length
      client.send(packet5.publish(TELEMETRY, 'good', { qos: 1, id: 1 }))
      await client.until(() => client.packets.length >= 2 || client.isClosed)
      client.send(bytes, packet5.publish(TELEMETRY, 'behind', { qos: 1, id: 2 }))
      await client.closed()
      const seen = client.texts
      expect([name, ...seen]).toEqual([name, 'connack 0 0x0', 'puback 1', `disconnect 0x${reason.toString(16)}`])
      expect(log.records.length - stored).toBe(1)
    }
    await expect.poll(() => broker.status()).toMatchObject({ clients: 0, inFlight: 0 })
    expect(await metric('sluice_broker_violations_total')).toBe(MALFORMED.length)
    expect(await metric('sluice_broker_violations_total', { packet: 'publish', reason: '0x94' })).toBe(2)
  })

  it('is refused whatever the first packet is', async () => {
    const { port, log, broker } = await startBroker()
    for (const [name, , bytes] of MALFORMED.slice(1)) {
      const client = new PacketClient(port)
      client.send(bytes)
      await client.closed()
      expect([name, ...client.frames]).toEqual([name])
    }
    expect(log.records).toEqual([])
    await expect.poll(() => broker.status().clients).toBe(0)
  })

  it('is none when it is an acknowledgement that nobody waits for, with a reason or a text', async () => {
    const { port } = await startBroker()
    const client = await logIn5(port)
    const text = [...allOf(property.text(0x1f, 'why'), property.user('', ''))]
    for (const header of [0x40, 0x50, 0x70]) client.send(acknowledge(header, 1), acknowledge(header, 2, 0, ...text))
    client.send(acknowledge(0x40, 3, 0x80), acknowledge(0x50, 3, 0x97, 0), acknowledge(0x62, 4, 0x92), packet.pingreq)
    await client.until(() => client.texts.includes('pingresp') || client.isClosed)
    expect(client.texts).toContain('pingresp')
  })

  it('is none when a filter asks for an identifier, which is refused', async () => {
    const { port } = await startBroker()
    const client = await logIn5(port)
    client.send(subscribe(Buffer.from([2, 0x0b, 1]), FILTER, 0), packet.pingreq)
    await client.until(() => client.packets.length >= 3 || client.isClosed)
    expect(client.texts).toContain('suback 9 0xa1')
  })
})
