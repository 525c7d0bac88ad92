import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { APP, logIn5, type PacketClient } from '../../mqtt/packet-client.ts'
import { frame, packet, packet5, u16 } from '../../mqtt/packets.ts'

const TELEMETRY = 't/a/1/telemetry'

async function seen(client: PacketClient, count: number): Promise<string[]> {
  await client.packetsUpTo(count)
  return client.texts.slice(1)
}

describe('telemetry of MQTT 5', () => {
  it('is stored byte for byte and acknowledged in the short form, at each QoS', async () => {
    const { port, log } = await startBroker()
    const client = await logIn5(port)
    const properties = { userProperties: { k: 'v' }, payloadFormatIndicator: true, messageExpiryInterval: 60 }
    client.send(packet5.publish(TELEMETRY, '{"q":0}'))
    client.send(packet5.publish(TELEMETRY, '{"q":1}', { qos: 1, id: 7, properties }))
    client.send(packet5.publish(`${TELEMETRY}/wind`, '{"q":2}', { qos: 2, id: 8 }))
    await client.packetsUpTo(3)
    // In the long form.
    client.send(frame(0x62, u16(8), 0, 0))
    expect(await seen(client, 4)).toEqual(['puback 7', 'pubrec 8', 'pubcomp 8'])
    expect(log.records.map(({ value }) => Buffer.from(value).toString())).toEqual(['{"q":0}', '{"q":1}', '{"q":2}'])
    expect(log.records.map(({ headers }) => headers?.['topic'])).toEqual([undefined, undefined, `${TELEMETRY}/wind`])
  })

  it('is taken by topic alias', async () => {
    const { port, log } = await startBroker()
    const client = await logIn5(port)
    const alias = (number: number) => ({ properties: { topicAlias: number } })
    client.send(packet5.publish(TELEMETRY, '1', alias(1)), packet5.publish(`${TELEMETRY}/s`, '2', alias(16)))
    client.send(packet5.publish('', '3', alias(1)), packet5.publish('', '4', { ...alias(16), qos: 1, id: 2 }))
    client.send(
      packet5.publish(`${TELEMETRY}/t`, '5', alias(1)),
      packet5.publish('', '6', { ...alias(1), qos: 1, id: 3 }),
    )
    expect(await seen(client, 3)).toEqual(['puback 2', 'puback 3'])
    const stored = log.records.map(
      ({ value, headers }) => `${Buffer.from(value).toString()} ${headers?.['topic'] ?? ''}`,
    )
    expect(stored).toEqual(['1 ', `2 ${TELEMETRY}/s`, '3 ', `4 ${TELEMETRY}/s`, `5 ${TELEMETRY}/t`, `6 ${TELEMETRY}/t`])
  })

  it('that is refused is acknowledged with the reason, and kept', async () => {
    const { port, log } = await startBroker()
    const client = await logIn5(port)
    const text = { properties: { payloadFormatIndicator: true } }
    client.send(packet5.publish('t/b/1/telemetry', 'x', { qos: 1, id: 1 }))
    client.send(packet5.publish('t/b/1/telemetry', 'x', { qos: 2, id: 2 }))
    client.send(
      packet5.publish('$SYS/x', 'x', { qos: 1, id: 3 }),
      packet5.publish('t/a/1/telemetri', 'x', { qos: 1, id: 4 }),
    )
    client.send(packet5.publish(TELEMETRY, Buffer.from([0xff]), { ...text, qos: 1, id: 5 }))
    client.send(packet5.publish('t/a/1/status', Buffer.from([0xff]), { ...text, qos: 2, id: 2 }))
    const refused = [
      'puback 1 0x87',
      'pubrec 2 0x87',
      'puback 3 0x90',
      'puback 4 0x90',
      'puback 5 0x99',
      'pubrec 2 0x99',
    ]
    expect(await seen(client, 7)).toEqual(refused)
    const reasonString = expect.stringContaining('no rule of "a/1" allows') as string
    expect(client.packets[1]).toMatchObject({ properties: { reasonString } })
    await expect.poll(() => log.letters.length).toBe(6)
    expect(log.letters.map(({ code }) => code).slice(-2)).toEqual(['payload_not_utf8', 'payload_not_utf8'])
    expect(log.records).toEqual([])
  })

  it('says nothing in words to a client that does not want it', async () => {
    const { port } = await startBroker()
    for (const properties of [{ requestProblemInformation: false }, { maximumPacketSize: 100 }]) {
      const client = await logIn5(port, { properties })
      client.send(packet5.publish('t/b/1/telemetry', 'x', { qos: 1, id: 1 }))
      await client.packetsUpTo(2)
      expect([...(client.frames[1] ?? [])]).toEqual([0x40, 3, 0, 1, 0x87])
    }
  })

  it('that is too long is acknowledged, kept, and ends the connection behind what came before', async () => {
    const { port, log } = await startBroker({ MAX_PACKET_BYTES: 1024 })
    const client = await logIn5(port)
    log.stall()
    const long = { qos: 1, id: 2, properties: { userProperties: { k: 'v'.repeat(300) } } }
    client.send(
      packet5.publish(TELEMETRY, '{"x":1}', { qos: 1, id: 1 }),
      packet5.publish(TELEMETRY, 'x'.repeat(2_000), long),
    )
    await expect.poll(() => log.appends).toBe(1)
    log.resume()
    await client.closed()
    expect(await seen(client, 4)).toEqual(['puback 1', 'puback 2 0x97', 'disconnect 0x95'])
    await expect.poll(() => log.letters.map(({ code }) => code)).toEqual(['payload_too_large'])
  })
})

describe('a connection of MQTT 5', () => {
  it('ends with the reason', async () => {
    const { port, registry, broker } = await startBroker()
    const first = await logIn5(port, { clientId: 'same' })
    const second = await logIn5(port, { clientId: 'same' })
    await first.closed()
    expect(await seen(first, 2)).toEqual(['disconnect 0x8e'])
    registry.devices.delete('a/1')
    registry.change('a/1')
    await second.closed()
    expect(await seen(second, 2)).toEqual(['disconnect 0x87'])
    const third = await logIn5(port, { username: 'a/2' })
    const closing = broker.close()
    await third.closed()
    expect(await seen(third, 2)).toEqual(['disconnect 0x8b'])
    await closing
  })

  it('is told the keepalive that counts, and ends by it', async () => {
    const { port } = await startBroker()
    const device = await logIn5(port, { keepalive: 0 })
    expect(device.packets[0]).toMatchObject({ properties: { serverKeepAlive: 1_200 } })
    const app = await logIn5(port, APP)
    expect(app.packets[0]).not.toHaveProperty('properties.serverKeepAlive')
    const silent = await logIn5(port, { keepalive: 1, clientId: 'silent' })
    await silent.closed()
    expect(await seen(silent, 2)).toEqual(['disconnect 0x8d'])
  })

  it('gets an id when it brings none', async () => {
    const { port } = await startBroker()
    const client = await logIn5(port, { clientId: '' })
    const assignedClientIdentifier = expect.stringMatching(/^auto-[0-9a-f-]{36}$/) as string
    expect(client.packets[0]).toMatchObject({ properties: { assignedClientIdentifier } })
  })

  it('that opens too many messages of QoS 2 ends', async () => {
    const { port } = await startBroker({ MAX_IN_FLIGHT_PER_CLIENT: 4 })
    for (const topic of [TELEMETRY, 't/a/1/status']) {
      const client = await logIn5(port)
      for (let id = 1; id <= 4; id += 1) {
        client.send(packet5.publish(topic, 'x', { qos: 2, id }))
        await client.packetsUpTo(id + 1)
      }
      client.send(packet5.publish(topic, 'x', { qos: 2, id: 1, dup: true }))
      await client.packetsUpTo(6)
      client.send(packet5.publish(topic, 'x', { qos: 2, id: 5 }))
      await client.closed()
      expect((await seen(client, 7)).at(-1)).toBe('disconnect 0x93')
    }
  })

  it('reads why its connection ended, even if it writes before it reads', async () => {
    const { port, broker } = await startBroker({ MAX_IN_FLIGHT_PER_CLIENT: 4 })
    const client = await logIn5(port)
    client.socket.pause()
    for (let id = 1; id <= 5; id += 1) client.send(packet5.publish(TELEMETRY, 'x', { qos: 2, id }))
    await expect.poll(() => broker.status().clients).toBe(0)
    // A socket that is gone answers the first with a reset; the next one fails, and nothing is read any more.
    for (const id of [1, 2, 3]) {
      client.send(packet5.pubrel(id))
      await delay(50)
    }
    client.socket.resume()
    await client.closed()
    expect(client.texts.at(-1)).toBe('disconnect 0x93')
  })

  it('publishes its will with its properties, and also when it leaves with reason 4', async () => {
    const { port } = await startBroker()
    const app = await logIn5(port, APP, packet5.subscribe(1, ['t/+/+/status', 1]))
    const properties = { userProperties: { why: 'gone' }, payloadFormatIndicator: true }
    const will = { topic: 't/a/1/status', payload: 'off', qos: 1, properties }
    for (const leave of [packet5.disconnect(4), Buffer.from([0xf0, 0]), packet5.disconnect(0), packet5.disconnect()]) {
      const client = await logIn5(port, { will })
      client.send(leave)
      await client.closed()
    }
    app.send(packet.pingreq)
    await app.until(() => app.packets.length >= 5)
    expect((await seen(app, 5)).filter((it) => it.startsWith('publish'))).toEqual(
      new Array(2).fill('publish t/a/1/status off q1'),
    )
    expect(app.messages[0]?.properties).toEqual(properties)
  })

  it('waits with its will for as long as it asked, and drops it when it is back', async () => {
    const { port } = await startBroker()
    const app = await logIn5(port, APP, packet5.subscribe(1, ['t/+/+/status', 1]))
    const will = (payload: string, delay: number) => ({
      will: {
        topic: 't/a/1/status',
        payload,
        properties: { willDelayInterval: delay, messageExpiryInterval: 9 },
      },
      properties: { sessionExpiryInterval: 100 },
    })
    const back = await logIn5(port, { ...will('dropped', 1), clientId: 'back' })
    const away = await logIn5(port, { ...will('due', 1), clientId: 'away' })
    for (const client of [back, away]) client.socket.destroy()
    await logIn5(port, { clientId: 'back' })
    await app.until(() => app.messages.length > 0)
    expect(app.texts.at(-1)).toBe('publish t/a/1/status due q0')
    expect(app.messages.map(({ properties }) => properties)).toEqual([{ messageExpiryInterval: 9 }])
  })

  it('gets messages at no higher quality than it was granted', async () => {
    const { port } = await startBroker()
    const app = await logIn5(port, APP, packet5.subscribe(1, ['x/+', 1], ['y/#', 0]))
    await app.packetsUpTo(2)
    app.send(packet5.publish('x/1', 'a', { qos: 2, id: 1, retain: true }))
    await app.packetsUpTo(4)
    app.send(packet5.pubrel(1), packet5.subscribe(2, ['+/1', 0]), packet5.publish('y/1', 'b', { qos: 1, id: 2 }))
    await app.until(() => app.messages.length >= 3)
    const messages = app.texts.filter((it) => it.startsWith('publish'))
    expect(messages.toSorted()).toEqual(['publish x/1 a q1', 'publish x/1 a q1 retained', 'publish y/1 b q0'])
  })
})
