import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { logIn, PacketClient } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'

/** A CONNECT with a will. */
function withWill(topic: string, payload: string, options: { qos?: number; retain?: boolean } = {}): Buffer {
  return packet.connect({ clientId: 'w', will: { topic, payload, ...options } })
}

describe('messages beside telemetry', () => {
  it.each([0, 1, 2] as const)(
    'reach subscribers at QoS %i in their order, while telemetry is acknowledged between them',
    async (qos) => {
      const { port, log } = await startBroker()
      const app = await connectJs(port, { username: 'app' })
      await app.client.subscribeAsync('t/+/+/status', { qos })
      const device = await connectJs(port, { username: 'a/1' })
      const work: Promise<unknown>[] = []
      const expected: string[] = []
      for (let n = 0; n < 30; n += 1) {
        work.push(device.client.publishAsync('t/a/1/status', String(n), { qos }))
        work.push(device.client.publishAsync('t/a/1/telemetry', String(n), { qos }))
        expected.push(`t/a/1/status ${n} ${qos}`)
      }
      await Promise.all(work)
      await expect.poll(() => app.messages).toEqual(expected)
      await expect.poll(() => log.records.length).toBe(30)
    },
  )

  it('go to devices as commands, and nobody else gets them', async () => {
    const { port } = await startBroker()
    const app = await connectJs(port, { username: 'app' })
    const one = await connectJs(port, { username: 'a/1' })
    const two = await connectJs(port, { username: 'a/2' })
    await one.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
    await expect(two.client.subscribeAsync('t/a/1/cmd/#')).rejects.toThrow()
    await expect(two.client.subscribeAsync('#')).rejects.toThrow()
    await app.client.publishAsync('t/a/1/cmd/reboot', 'now', { qos: 1 })
    await expect.poll(() => one.messages).toEqual(['t/a/1/cmd/reboot now 1'])
    expect(two.messages).toEqual([])
  })

  it('are retained, and an empty one removes them', async () => {
    const { port } = await startBroker()
    const device = await connectJs(port, { username: 'a/1' })
    await device.client.publishAsync('t/a/1/status', 'on', { qos: 1, retain: true })
    const first = await connectJs(port, { username: 'app', clientId: 'first' })
    await first.client.subscribeAsync('t/a/1/status', { qos: 1 })
    await expect.poll(() => first.messages).toEqual(['t/a/1/status on 1 retained'])
    await device.client.publishAsync('t/a/1/status', '', { qos: 1, retain: true })
    await expect.poll(() => first.messages.length).toBe(2)
    const second = await connectJs(port, { username: 'app', clientId: 'second' })
    await second.client.subscribeAsync('t/a/1/status', { qos: 1 })
    await device.client.publishAsync('t/a/1/status', 'off', { qos: 1 })
    await expect.poll(() => second.messages).toEqual(['t/a/1/status off 1'])
  })

  it('a subscription to $ gets 0x80, also one of several, and so does a share of none', async () => {
    const { port } = await startBroker()
    const client = await logIn(port, { username: 'app' })
    client.send(packet.subscribe(1, ['$SYS/#', 0], ['house/+', 1], ['$share/g', 1]))
    expect((await client.packetsUpTo(2)).at(-1)).toBe('suback 1 128 1 128')
  })
})

describe('a persistent session', () => {
  it('keeps subscriptions and messages while the client is away, and its name is that of the login', async () => {
    const { port } = await startBroker()
    const app = await connectJs(port, { username: 'app' })
    const options = { clientId: 'p', clean: false }
    const first = await logIn(port, { username: 'a/1', ...options })
    first.send(packet.subscribe(1, ['t/a/1/cmd/#', 1]))
    await first.packetsUpTo(2)
    first.send(packet.disconnect())
    await first.closed()
    await app.client.publishAsync('t/a/1/cmd/x', 'kept', { qos: 1 })
    const stranger = await logIn(port, { username: 'a/2', ...options })
    expect(stranger.texts).toEqual(['connack 0 0'])
    const second = await logIn(port, { username: 'a/1', ...options })
    expect(await second.packetsUpTo(2)).toEqual(['connack 1 0', 'publish t/a/1/cmd/x kept q1'])
  })

  it('does not store filters that were refused', async () => {
    const { port } = await startBroker()
    const options = { username: 'a/1', clientId: 'p', clean: false }
    const first = await logIn(port, options)
    first.send(packet.subscribe(1, ['t/a/1/cmd/#', 1], ['t/a/2/cmd/#', 1]))
    expect((await first.packetsUpTo(2)).at(-1)).toBe('suback 1 1 128')
    first.send(packet.disconnect())
    await first.closed()
    const app = await connectJs(port, { username: 'app' })
    await app.client.publishAsync('t/a/2/cmd/x', 'not yours', { qos: 1 })
    await app.client.publishAsync('t/a/1/cmd/x', 'yours', { qos: 1 })
    const second = await logIn(port, options)
    await second.packetsUpTo(2)
    second.send(packet.pingreq)
    expect((await second.packetsUpTo(3)).slice(1)).toEqual(['publish t/a/1/cmd/x yours q1', 'pingresp'])
  })
})

describe('messages of QoS 2 of a persistent session', () => {
  it('are each released, and gone when their client has taken them', async () => {
    const { port } = await startBroker()
    const options = { username: 'a/1', clientId: 'p', clean: false }
    const first = await logIn(port, options)
    first.send(packet.subscribe(1, ['t/a/1/cmd/#', 2]))
    await first.packetsUpTo(2)
    const app = await connectJs(port, { username: 'app' })
    for (const n of ['1', '2', '3']) await app.client.publishAsync(`t/a/1/cmd/${n}`, n, { qos: 2 })
    await first.packetsUpTo(5)
    const ids = first.messages.map(({ messageId = 0 }) => messageId)
    for (const [index, id] of ids.entries()) {
      first.send(packet.pubrec(id))
      expect((await first.packetsUpTo(6 + index)).at(-1)).toBe(`pubrel ${id}`)
    }
    for (const id of ids) first.send(packet.pubcomp(id))
    first.send(packet.disconnect())
    await first.closed()
    const second = await logIn(port, options)
    second.send(packet.subscribe(2, ['t/a/1/cmd/#', 2]))
    expect((await second.packetsUpTo(2)).map((it) => it.split(' ')[0])).toEqual(['connack', 'suback'])
  })
})

describe('a session that is full', () => {
  it('keeps the oldest 1,000 messages, and the others are counted', async () => {
    const { port, metric } = await startBroker()
    const options = { username: 'a/1', clientId: 'p', clean: false }
    const first = await logIn(port, options)
    first.send(packet.subscribe(1, ['t/a/1/cmd/#', 1]))
    await first.packetsUpTo(2)
    first.send(packet.disconnect())
    await first.closed()
    const app = await connectJs(port, { username: 'app' })
    const all = Array.from({ length: 1_010 }, (_, n) => app.client.publishAsync('t/a/1/cmd/x', String(n), { qos: 1 }))
    await Promise.all(all)
    // aedes acknowledges before it stores.
    await expect.poll(() => metric('sluice_broker_session_messages_dropped_total')).toBe(10)
    const second = await logIn(port, options)
    const got = await second.packetsUpTo(1_001)
    expect(got.slice(1)).toEqual(Array.from({ length: 1_000 }, (_, n) => `publish t/a/1/cmd/x ${n} q1`))
    for (const { messageId = 0 } of second.messages) second.send(packet.puback(messageId))
    second.send(packet.subscribe(2, ['t/a/1/cmd/#', 1]))
    await second.until(() => second.packets.some(({ cmd }) => cmd === 'suback'))
    await app.client.publishAsync('t/a/1/cmd/x', 'room again', { qos: 1 })
    await second.until(() => second.texts.includes('publish t/a/1/cmd/x room again q1'))
  })
})

describe('a client id', () => {
  it('is taken over by the same login, and not by another', async () => {
    const { port, metric } = await startBroker()
    const first = await logIn(port, { username: 'a/1', clientId: 'x' })
    const other = await logIn(port, { username: 'a/2', clientId: 'x' })
    const second = await logIn(port, { username: 'a/1', clientId: 'x' })
    await first.closed()
    second.send(packet.pingreq)
    other.send(packet.pingreq)
    expect((await second.packetsUpTo(2)).at(-1)).toBe('pingresp')
    expect((await other.packetsUpTo(2)).at(-1)).toBe('pingresp')
    expect(await metric('sluice_broker_takeovers_total')).toBe(1)
  })

  it('of an application named like a tenant is not that of its devices', async () => {
    const { port, registry } = await startBroker()
    registry.applications.set('a', [])
    const device = await logIn(port, { username: 'a/1', clientId: 'x' })
    await logIn(port, { username: 'a', clientId: '1/x' })
    device.send(packet.pingreq)
    expect((await device.packetsUpTo(2)).at(-1)).toBe('pingresp')
  })

  it('that many take at once ends with one of them, and the others are gone', async () => {
    const { port, broker } = await startBroker()
    const clients = Array.from({ length: 40 }, () => new PacketClient(port))
    for (const client of clients)
      client.send(packet.connect({ clientId: 'storm' }), packet.publish('t/a/1/status', 'x', { qos: 1 }))
    await expect.poll(() => clients.filter((client) => !client.isClosed).length).toBe(1)
    await expect.poll(() => broker.status().clients).toBe(1)
    const left = clients.find((client) => !client.isClosed)
    left?.send(packet.publish('t/a/1/telemetry', '{}', { qos: 1, id: 7 }))
    await left?.until(() => left.texts.includes('puback 7'))
  })
})

describe('a will', () => {
  it('is published when the connection breaks, not when the client leaves', async () => {
    const { port } = await startBroker()
    const app = await connectJs(port, { username: 'app' })
    await app.client.subscribeAsync('t/+/+/status', { qos: 1 })
    for (const leaves of [true, false]) {
      const device = new PacketClient(port)
      device.send(withWill('t/a/1/status', leaves ? 'left' : 'broke', { qos: 1, retain: true }))
      await device.packetsUpTo(1)
      if (leaves) device.send(packet.disconnect())
      else device.reset()
      await device.closed()
    }
    await expect.poll(() => app.messages).toEqual(['t/a/1/status broke 1'])
  })

  it('on a telemetry topic goes to the log', async () => {
    const { port, log } = await startBroker()
    const device = new PacketClient(port)
    device.send(withWill('t/a/1/telemetry/last', '{"gone":1}', { qos: 1, retain: true }))
    await device.packetsUpTo(1)
    device.reset()
    await expect
      .poll(() => log.records.map(({ key, value, headers }) => [key, Buffer.from(value).toString(), headers]))
      .toEqual([['a/1', '{"gone":1}', { topic: 't/a/1/telemetry/last' }]])
  })

  it('of a login that was removed does not fire, and its connections close', async () => {
    const { port, registry, broker } = await startBroker()
    const app = await connectJs(port, { username: 'app' })
    await app.client.subscribeAsync('t/+/+/status')
    const device = new PacketClient(port)
    device.send(withWill('t/a/1/status', 'gone'))
    await device.packetsUpTo(1)
    registry.devices.delete('a/1')
    registry.change('a/1')
    await device.closed()
    await expect.poll(() => broker.status().clients).toBe(1)
    const witness = await connectJs(port, { username: 'a/2' })
    await witness.client.publishAsync('t/a/2/status', 'on', { qos: 1 })
    await expect.poll(() => app.messages).toEqual(['t/a/2/status on 0'])
  })
})
