import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { APP, logIn, logIn5, type PacketClient } from '../../mqtt/packet-client.ts'
import { packet, packet5, property } from '../../mqtt/packets.ts'

const NO_LOCAL = 4
const RETAIN_AS_PUBLISHED = 8

function messages(client: PacketClient): string[] {
  return client.texts.filter((it) => it.startsWith('publish'))
}

/** Everything before has arrived, because this comes behind it. */
async function settle(client: PacketClient, publisher: PacketClient): Promise<string[]> {
  publisher.send(packet5.publish('end/of/it', 'END'))
  client.send(packet5.subscribe(999, ['end/of/it', 0]))
  await client.until(() => client.texts.some((it) => it.startsWith('suback 999')))
  publisher.send(packet5.publish('end/of/it', 'END'))
  await client.until(() => messages(client).some((it) => it.includes('END')))
  return messages(client).filter((it) => !it.includes('END'))
}

/** A level more than there may be. */
const DEEP = 'a/'.repeat(16)

describe('subscriptions of MQTT 5', () => {
  it('are granted or refused one by one, with the reason', async () => {
    const { port } = await startBroker()
    const client = await logIn5(port)
    client.send(packet5.subscribe(1, ['t/a/1/cmd/#', 1], ['t/b/1/cmd', 1], ['$share/g/x', 1], [DEEP, 0], ['$SYS/#', 0]))
    await client.packetsUpTo(2)
    client.send(packet5.unsubscribe(2, 't/a/1/cmd/#', 't/a/1/notice', DEEP, 't/a/1/cmd/#'))
    await client.packetsUpTo(3)
    expect(client.texts.slice(1)).toEqual(['suback 1 0x1 0x87 0x9e 0x8f 0x87', 'unsuback 2 0x0 0x11 0x11 0x11'])
  })

  it('keep "no local" and "retain as published", also over a reconnect', async () => {
    const { port } = await startBroker()
    const forever = { ...APP, clean: false, properties: { sessionExpiryInterval: 0xffffffff } }
    const first = await logIn5(port, forever)
    first.send(packet5.subscribe(1, ['x/mine', 1 | NO_LOCAL], ['x/+/kept', 1 | RETAIN_AS_PUBLISHED], ['x/plain', 1]))
    await first.packetsUpTo(2)
    first.send(packet5.disconnect())
    await first.closed()
    const client = await logIn5(port, forever)
    expect(client.texts[0]).toBe('connack 1 0x0')
    client.send(packet5.publish('x/mine', 'own'), packet5.publish('x/1/kept', 'kept', { retain: true }))
    client.send(packet5.publish('x/plain', 'plain', { retain: true }))
    const other = await logIn5(port, { ...APP, clientId: 'other' })
    other.send(packet5.publish('x/mine', 'foreign', { qos: 1 }))
    await other.packetsUpTo(2)
    expect(await settle(client, other)).toEqual([
      'publish x/1/kept kept q0 retained',
      'publish x/plain plain q0',
      'publish x/mine foreign q1',
    ])
  })

  it('get retained messages as they ask, with their properties', async () => {
    const { port } = await startBroker()
    const client = await logIn5(port, APP)
    const properties = { contentType: 'c', userProperties: { a: ['2', '1'] } }
    client.send(packet5.publish('x/1', 'r', { qos: 1, retain: true, properties }))
    client.send(
      packet5.publish('x/old', 'r', { qos: 1, id: 2, retain: true, properties: { messageExpiryInterval: 0 } }),
    )
    await client.packetsUpTo(3)
    const retained = (options: number, id: number) => packet5.subscribe(id, ['x/+', options])
    for (const [id, options] of [0x20, 0x10, 0x10, 0x00].entries()) {
      client.send(retained(options, id + 10), packet.pingreq)
      await client.until(() => client.texts.includes(`suback ${id + 10} 0x0`))
    }
    client.send(packet5.unsubscribe(20, 'x/+'), retained(0x10, 21))
    expect(await settle(client, client)).toEqual(new Array(2).fill('publish x/1 r q0 retained'))
    expect(client.messages[0]?.properties).toEqual(properties)
  })
})

describe('messages for a client of MQTT 5', () => {
  it('come with the properties they were published with, whatever the QoS; a client of 3.1.1 gets them without', async () => {
    const { port } = await startBroker()
    const subscriber = await logIn5(port, APP, packet5.subscribe(1, ['x/#', 2]))
    const old = await logIn(port, { username: 'app', clientId: 'old' })
    old.send(packet.subscribe(1, ['x/#', 0]))
    await Promise.all([subscriber.packetsUpTo(2), old.packetsUpTo(2)])
    const publisher = await logIn5(port, { ...APP, clientId: 'publisher' })
    const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map((it) => it.replace(/\0/g, ''))
    const one = fc.oneof(
      fc.tuple(text, text).map(([key, value]) => property.user(key, value)),
      text.map((value) => property.user('', value)),
    )
    const once = fc.subarray([
      property.byte(1, 0),
      property.text(3, 'text/plain'),
      property.text(8, 'answer/here'),
      Buffer.concat([Buffer.from([9, 0, 3]), Buffer.from([0, 255, 0])]),
    ])
    const message = fc.record({
      qos: fc.nat({ max: 2 }),
      payload: fc.uint8Array({ maxLength: 40 }).map((it) => Buffer.from(it)),
      properties: fc
        .tuple(once, fc.array(one, { maxLength: 4 }))
        .map(([some, users]) => Buffer.concat([...some, ...users])),
    })
    let id = 0
    let got = 2
    await fc.assert(
      fc.asyncProperty(message, async ({ qos, payload, properties }) => {
        id = (id % 60_000) + 1
        publisher.send(packet5.publish('x/1', payload, { qos, id, properties }))
        if (qos === 2) publisher.send(packet5.pubrel(id))
        await subscriber.until(() => subscriber.packets.length > got)
        const received = subscriber.packets[got]
        const given = received?.messageId ?? 0
        // The same to the byte, and in the same order.
        expect(subscriber.frames[got]).toEqual(packet5.publish('x/1', payload, { qos, id: given, properties }))
        got += 1
        if (qos === 0) return
        subscriber.send(qos === 1 ? packet5.puback(given) : packet5.pubrec(given))
        if (qos === 1) return
        await subscriber.packetsUpTo((got += 1))
        subscriber.send(packet5.pubcomp(given, 0))
      }),
      { numRuns: 150 },
    )
    await old.packetsUpTo(2 + 150)
  })

  it('are never more than it takes at once, nor longer', async () => {
    const { port, metric } = await startBroker()
    const properties = { receiveMaximum: 2, maximumPacketSize: 60 }
    const subscriber = await logIn5(port, { ...APP, properties }, packet5.subscribe(1, ['x/#', 2]))
    await subscriber.packetsUpTo(2)
    const publisher = await logIn5(port, { ...APP, clientId: 'publisher' })
    for (let id = 1; id <= 6; id += 1) publisher.send(packet5.publish('x/1', `m${id}`, { qos: 1, id }))
    publisher.send(packet5.publish('x/1', 'x'.repeat(80), { qos: 1, id: 7 }), packet5.publish('x/1', 'zero'))
    await publisher.packetsUpTo(8)
    await subscriber.packetsUpTo(5)
    expect(messages(subscriber).toSorted()).toEqual(['publish x/1 m1 q1', 'publish x/1 m2 q1', 'publish x/1 zero q0'])
    const acknowledged = new Set<number>()
    const acknowledge = (): void => {
      for (const { qos, messageId: id = 0 } of subscriber.messages) {
        if (qos === 1 && !acknowledged.has(id)) subscriber.send(packet5.puback(id))
        acknowledged.add(id)
      }
    }
    for (const count of [7, 9]) {
      acknowledge()
      await subscriber.packetsUpTo(count)
      expect(subscriber.packets.length).toBe(count)
    }
    acknowledge()
    await expect.poll(() => metric('sluice_broker_deliveries_too_large_total')).toBe(1)
    expect(messages(subscriber).filter((it) => it.endsWith('q1'))).toEqual(
      [1, 2, 3, 4, 5, 6].map((number) => `publish x/1 m${number} q1`),
    )
  })

  it('that it refuses in PUBREC are over', async () => {
    const { port } = await startBroker()
    const subscriber = await logIn5(
      port,
      { ...APP, properties: { receiveMaximum: 1 } },
      packet5.subscribe(1, ['x/#', 2]),
    )
    await subscriber.packetsUpTo(2)
    const publisher = await logIn5(port, { ...APP, clientId: 'publisher' })
    publisher.send(packet5.publish('x/1', 'a', { qos: 2, id: 1 }), packet5.pubrel(1))
    await subscriber.packetsUpTo(3)
    subscriber.send(packet5.pubrec(subscriber.messages[0]?.messageId ?? 0, 0x97))
    publisher.send(packet5.publish('x/1', 'b', { qos: 2, id: 1 }), packet5.pubrel(1))
    await subscriber.packetsUpTo(4)
    expect(messages(subscriber)).toEqual(['publish x/1 a q2', 'publish x/1 b q2'])
  })

  it('expire while they wait, and say how long they still live', async () => {
    const { port, metric } = await startBroker()
    const forever = { ...APP, clean: false, properties: { sessionExpiryInterval: 100 } }
    const first = await logIn5(port, forever, packet5.subscribe(1, ['x/#', 1]))
    await first.packetsUpTo(2)
    first.send(packet5.disconnect())
    await first.closed()
    const publisher = await logIn5(port, { ...APP, clientId: 'publisher' })
    publisher.send(packet5.publish('x/1', 'old', { qos: 1, id: 1, properties: { messageExpiryInterval: 0 } }))
    publisher.send(packet5.publish('x/1', 'new', { qos: 1, id: 2, properties: { messageExpiryInterval: 600 } }))
    await publisher.packetsUpTo(3)
    const second = await logIn5(port, forever)
    await second.packetsUpTo(2)
    expect(messages(second)).toEqual(['publish x/1 new q1'])
    const left = second.messages[0]?.properties?.messageExpiryInterval ?? 0
    expect(left > 500 && left <= 600).toBe(true)
    expect(await metric('sluice_broker_messages_expired_total')).toBe(1)
  })
})

describe('a session of MQTT 5', () => {
  const expiry = (sessionExpiryInterval: number) => ({ sessionExpiryInterval })
  const subscribed = async (port: number, options: Parameters<typeof logIn5>[1]) => {
    const client = await logIn5(port, options, packet5.subscribe(1, ['t/a/1/cmd/#', 1]))
    await client.packetsUpTo(2)
    return client
  }
  const leave = async (client: PacketClient, ...bytes: Buffer[]) => {
    client.send(...(bytes.length === 0 ? [packet5.disconnect()] : bytes))
    await client.closed()
  }
  const isPresent = async (port: number, options: Parameters<typeof logIn5>[1]) => {
    const client = await logIn5(port, options)
    return { client, answer: client.texts[0] }
  }

  it('ends with the connection, or never', async () => {
    const { port } = await startBroker()
    const kept = { clean: false }
    await leave(await subscribed(port, {}))
    expect((await isPresent(port, kept)).answer).toBe('connack 0 0x0')
    const lasting = { properties: expiry(0xffffffff) }
    await leave(await subscribed(port, lasting))
    const again = await isPresent(port, { ...kept, ...lasting })
    expect(again.answer).toBe('connack 1 0x0')
    await leave(again.client, packet5.disconnect(0, expiry(50)))
    expect((await isPresent(port, { ...kept, properties: expiry(100) })).answer).toBe('connack 1 0x0')
  })

  it('is new when the client wants it new, and over when it says so', async () => {
    const { port } = await startBroker()
    const lasting = { properties: expiry(100) }
    await leave(await subscribed(port, lasting))
    const fresh = await isPresent(port, lasting)
    expect(fresh.answer).toBe('connack 0 0x0')
    await leave(fresh.client)
    await leave(await subscribed(port, lasting), packet5.disconnect(0, expiry(0)))
    expect((await isPresent(port, { ...lasting, clean: false })).answer).toBe('connack 0 0x0')
  })

  it('that ends with the connection cannot be prolonged', async () => {
    const { port } = await startBroker()
    const client = await logIn5(port)
    await leave(client, packet5.disconnect(0, expiry(1)))
    expect(client.texts.slice(1)).toEqual(['disconnect 0x82'])
  })
})
