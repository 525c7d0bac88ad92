import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { frame, logIn, packet, RawClient, utf8 } from '../../mqtt-bytes.ts'

const TELEMETRY = 't/a/1/telemetry'
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])
const publish = (header: number, ...parts: Buffer[]): Buffer => frame(header, Buffer.concat(parts))

/** Packets of a logged-in client that must close the connection without an answer. */
const MALFORMED: readonly [string, Buffer][] = [
  ['a second CONNECT', packet.connect()],
  ['CONNACK', Buffer.from([0x20, 2, 0, 0])],
  ['SUBACK', frame(0x90, Buffer.concat([u16(1), Buffer.from([0])]))],
  ['UNSUBACK', frame(0xb0, u16(1))],
  ['PINGRESP', Buffer.from([0xd0, 0])],
  ['type 0', Buffer.from([0, 0])],
  ['type 15', Buffer.from([0xf0, 0])],
  ['PUBLISH with QoS 3', publish(0x36, utf8(TELEMETRY), u16(1))],
  ['PUBLISH of QoS 0 with DUP', publish(0x38, utf8(TELEMETRY))],
  ['PUBLISH with id 0', publish(0x32, utf8(TELEMETRY), u16(0))],
  ['PUBLISH without id', publish(0x32, utf8(TELEMETRY))],
  ['PUBLISH that ends in its topic', publish(0x30, Buffer.from([0, 9, 0x74]))],
  ['PUBLISH without anything', Buffer.from([0x30, 0])],
  ['PUBLISH with an empty topic', publish(0x30, utf8(''))],
  ['PUBLISH with +', publish(0x30, utf8('t/a/+/telemetry'))],
  ['PUBLISH with #', publish(0x30, utf8('t/a/1/#'))],
  ['PUBLISH with NUL in the topic', publish(0x30, utf8('t/a/1/\0'))],
  ['PUBLISH with a control character in the topic', publish(0x30, utf8('t/a/1/\n'))],
  ['PUBLISH with a surrogate in the topic', publish(0x30, Buffer.from([0, 3, 0xed, 0xa0, 0x80]))],
  ['PUBLISH with bad UTF-8 in the topic', publish(0x30, Buffer.from([0, 2, 0xff, 0xfe]))],
  ['SUBSCRIBE with bad flags', frame(0x80, Buffer.concat([u16(1), utf8('a'), Buffer.from([0])]))],
  ['SUBSCRIBE with id 0', packet.subscribe(0, ['t/a/1/cmd/#', 0])],
  ['SUBSCRIBE without a filter', frame(0x82, u16(1))],
  ['SUBSCRIBE without anything', frame(0x82, Buffer.alloc(0))],
  ['SUBSCRIBE with QoS 3', packet.subscribe(1, ['t/a/1/cmd/#', 3])],
  ['SUBSCRIBE with reserved bits', packet.subscribe(1, ['t/a/1/cmd/#', 0x80])],
  ['SUBSCRIBE without its QoS', frame(0x82, Buffer.concat([u16(1), utf8('a')]))],
  ['SUBSCRIBE to an empty filter', packet.subscribe(1, ['', 0])],
  ['SUBSCRIBE to a#', packet.subscribe(1, ['a#', 0])],
  ['SUBSCRIBE to a/#/b', packet.subscribe(1, ['a/#/b', 0])],
  ['SUBSCRIBE to a+/b', packet.subscribe(1, ['a+/b', 0])],
  ['SUBSCRIBE with NUL', packet.subscribe(1, ['a\0', 0])],
  ['UNSUBSCRIBE with bad flags', frame(0xa0, Buffer.concat([u16(1), utf8('a')]))],
  ['UNSUBSCRIBE without a filter', frame(0xa2, u16(1))],
  ['UNSUBSCRIBE with id 0', packet.unsubscribe(0, 'a')],
  ['PUBACK with flags', packet.ack(0x41, 1)],
  ['PUBACK with id 0', packet.ack(0x40, 0)],
  ['PUBACK of three bytes', frame(0x40, Buffer.from([0, 1, 0]))],
  ['PUBREC without id', frame(0x50, Buffer.alloc(0))],
  ['PUBREL without its flag', packet.ack(0x60, 1)],
  ['PUBCOMP with flags', packet.ack(0x72, 1)],
  ['PINGREQ with flags', Buffer.from([0xc1, 0])],
  ['PINGREQ with a body', frame(0xc0, Buffer.from([0]))],
  ['DISCONNECT with flags', Buffer.from([0xe1, 0])],
  ['DISCONNECT with a body', frame(0xe0, Buffer.from([0]))],
  ['a remaining length of five bytes', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x7f])],
  ['SUBSCRIBE beyond the limit', frame(0x82, Buffer.alloc(70_000))],
]

describe('a malformed packet', () => {
  it('closes the connection without an answer, and what came before it is acknowledged', async () => {
    const { port, log, broker } = await startBroker()
    for (const [name, bytes] of MALFORMED) {
      const client = await logIn(port)
      const stored = log.records.length
      client.send(packet.publish(TELEMETRY, 'good', { qos: 1, id: 1 }))
      await client.packetsUpTo(2)
      client.send(bytes, packet.publish(TELEMETRY, 'behind', { qos: 1, id: 2 }))
      await client.closed()
      expect([name, ...(await client.packetsUpTo(2))]).toEqual([name, 'connack 0 0', 'puback 1'])
      expect(log.records.length - stored).toBe(1)
    }
    await expect.poll(() => broker.status()).toMatchObject({ clients: 0, inFlight: 0 })
  })

  it('is refused whatever the first packet is', async () => {
    const { port, log, broker } = await startBroker()
    for (const [name, bytes] of MALFORMED.slice(1)) {
      const client = new RawClient(port)
      client.send(bytes)
      await client.closed()
      expect([name, ...client.packets]).toEqual([name])
    }
    expect(log.records).toEqual([])
    await expect.poll(() => broker.status().clients).toBe(0)
  })

  it('kills nobody else', async () => {
    const { port } = await startBroker()
    const witness = await logIn(port, { username: 'a/2' })
    for (const [, bytes] of MALFORMED) (await logIn(port)).send(bytes)
    witness.send(packet.pingreq)
    expect((await witness.packetsUpTo(2)).at(-1)).toBe('pingresp')
  })
})

describe('a filter that is valid in MQTT, but not taken here', () => {
  it.each(['a/[bc]', 'a/*', 'a?', 'a\\b', 'x'.repeat(513), '/'.repeat(16), '$SYS/#', '$share/g/t/a/1/cmd'])(
    '%s is refused alone, and the connection stays',
    async (filter) => {
      const { port } = await startBroker()
      const client = await logIn(port)
      client.send(packet.subscribe(7, ['t/a/1/cmd/#', 1], [filter, 2], ['t/a/1/notice', 2]))
      client.send(packet.subscribe(8, [filter, 0]), packet.unsubscribe(9, filter), packet.pingreq)
      await client.packetsUpTo(5)
      const answers = (await client.packetsUpTo(5)).slice(1)
      expect(answers.toSorted()).toEqual(['pingresp', 'suback 7 1 128 2', 'suback 8 128', 'unsuback 9'])
    },
  )

  it('a filter that is repeated is answered each time', async () => {
    const { port } = await startBroker()
    const client = await logIn(port)
    client.send(packet.subscribe(7, ['t/a/1/cmd/#', 0], ['t/b/1/#', 0], ['t/a/1/cmd/#', 1]))
    expect((await client.packetsUpTo(2)).at(-1)).toBe('suback 7 1 128 1')
  })
})
