import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FakeLog, startBroker } from '../../broker-harness.ts'
import { toNanoseconds } from '../../../shared/telemetry.ts'
import { logIn, PacketClient } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'

const TELEMETRY = 't/a/1/telemetry'

it('acknowledges telemetry of each QoS when it is in the log', async () => {
  const { port, log } = await startBroker()
  const client = await logIn(port)
  client.send(
    packet.publish(TELEMETRY, 'zero'),
    packet.publish(TELEMETRY, 'one', { qos: 1, id: 7 }),
    packet.publish('t/a/1/telemetry/wind', 'two', { qos: 2, id: 8 }),
    packet.publish('t/a/1/status', 'on', { qos: 1, id: 9, retain: true }),
    packet.pingreq,
  )
  expect(await client.packetsUpTo(5)).toEqual(['connack 0 0', 'pingresp', 'puback 7', 'pubrec 8', 'puback 9'])
  client.send(packet.pubrel(8))
  expect((await client.packetsUpTo(6)).at(-1)).toBe('pubcomp 8')
  expect(log.records.map(({ key, value, headers }) => [key, Buffer.from(value).toString(), headers])).toEqual([
    ['a/1', 'zero', { qos: '0' }],
    ['a/1', 'one', undefined],
    ['a/1', 'two', { topic: 't/a/1/telemetry/wind', qos: '2' }],
  ])
})

it('stamps 16 readings of one segment so far apart that arrays of them do not meet', async () => {
  const { port, log } = await startBroker()
  const client = await logIn(port)
  const reading = JSON.stringify(Array.from({ length: 16 }, (_, n) => ({ n })))
  client.send(
    ...Array.from({ length: 16 }, (_, index) => packet.publish(TELEMETRY, reading, { qos: 1, id: index + 1 })),
  )
  await client.packetsUpTo(17)
  const stamps = log.records.map(toNanoseconds)
  expect(stamps).toHaveLength(16)
  for (const [index, stamp] of stamps.entries()) {
    if (index > 0) expect(stamp - (stamps[index - 1] ?? 0n)).toBeGreaterThanOrEqual(16n)
  }
})

it('acknowledges 64 in flight in their order over both lanes, whatever the log takes', async () => {
  const kinds = fc.constantFrom('one', 'two', 'status', 'statusTwo', 'foreign', 'ping')
  const delays = fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 10 })
  await fc.assert(
    fc.asyncProperty(fc.array(kinds, { minLength: 64, maxLength: 64 }), delays, async (sent, waits) => {
      const log = new FakeLog()
      log.before = async () => {
        for (let turn = waits[log.appends % waits.length] ?? 0; turn > 0; turn -= 1) {
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      }
      const { port, broker, metric } = await startBroker({}, undefined, log)
      const client = await logIn(port)
      const topics = {
        one: TELEMETRY,
        two: TELEMETRY,
        status: 't/a/1/status',
        statusTwo: 't/a/1/status',
        foreign: 't/b/1/telemetry',
      }
      const packets = sent.map((kind, index) => {
        if (kind === 'ping') return packet.pingreq
        const qos = kind === 'two' || kind === 'statusTwo' ? 2 : 1
        return packet.publish(topics[kind], String(index), { qos, id: index + 1 })
      })
      client.send(...packets)
      const got = (await client.packetsUpTo(65)).slice(1)
      const acks = sent.flatMap((kind, index) => {
        if (kind === 'ping') return []
        return [`${kind === 'two' || kind === 'statusTwo' ? 'pubrec' : 'puback'} ${index + 1}`]
      })
      expect(got.filter((name) => name !== 'pingresp')).toEqual(acks)
      expect(got.filter((name) => name === 'pingresp')).toHaveLength(sent.length - acks.length)
      const stored = sent.flatMap((kind, index) => (kind === 'one' || kind === 'two' ? [String(index)] : []))
      expect(log.records.map(({ value }) => Buffer.from(value).toString())).toEqual(stored)
      const count = async (name: string) => metric(`sluice_broker_publishes_${name}_total`)
      const refused = sent.filter((kind) => kind === 'foreign').length
      expect([await count('received'), await count('acked'), await count('refused'), await count('abandoned')]).toEqual(
        [acks.length, acks.length - refused, refused, 0],
      )
      client.socket.destroy()
      await broker.close()
    }),
    { numRuns: 15 },
  )
})

it('takes a repeated QoS 2 id before its PUBREL for the same message, and behind it for a new one', async () => {
  const { port, log } = await startBroker()
  const client = await logIn(port)
  const message = (payload: string, dup = false) => packet.publish(TELEMETRY, payload, { qos: 2, id: 5, dup })
  client.send(message('x'), message('x', true))
  await client.packetsUpTo(3)
  client.send(packet.pubrel(5), message('y'))
  const got = await client.packetsUpTo(5)
  expect(got.slice(1, 3)).toEqual(['pubrec 5', 'pubrec 5'])
  expect(got.slice(3)).toEqual(['pubcomp 5', 'pubrec 5'])
  expect(log.records.map(({ value }) => Buffer.from(value).toString())).toEqual(['x', 'y'])
  // A PUBREL whose PUBLISH came over an earlier connection.
  client.send(packet.pubrel(77))
  expect((await client.packetsUpTo(6)).at(-1)).toBe('pubcomp 77')
})

it('ignores the retain flag on telemetry and counts it', async () => {
  const { port, metric } = await startBroker()
  const client = await logIn(port)
  client.send(packet.publish(TELEMETRY, '{}', { qos: 1, id: 1, retain: true }))
  await client.packetsUpTo(2)
  expect(await metric('sluice_broker_retain_ignored_total')).toBe(1)
  const reader = await logIn(port, { username: 'app', clientId: 'r' })
  reader.send(packet.subscribe(1, ['#', 1]), packet.pingreq)
  expect((await reader.packetsUpTo(3)).filter((name) => name.startsWith('publish'))).toEqual([])
})

it('takes what a client sent before it closed its side, also when it did not wait for CONNACK', async () => {
  const { port, log } = await startBroker()
  log.stall()
  const client = new PacketClient(port)
  const messages = Array.from({ length: 100 }, (_, index) => packet.publish(TELEMETRY, 'x', { qos: 1, id: index + 1 }))
  client.socket.end(Buffer.concat([packet.connect(), ...messages, packet.disconnect()]))
  await client.packetsUpTo(1)
  log.resume()
  await client.closed()
  await expect.poll(() => log.records.length).toBe(100)
})

it('gives aedes each packet once, also when many come at once and some are done at once', async () => {
  const { port } = await startBroker()
  const client = await logIn(port)
  const status = Array.from({ length: 20 }, () => packet.publish('t/a/1/status', ''))
  client.send(...status, packet.subscribe(1, ['t/a/1/cmd/#', 0]), ...status, packet.unsubscribe(2, 'x'), ...status)
  client.send(packet.publish('t/a/1/status', 'last', { qos: 1, id: 3 }))
  expect((await client.packetsUpTo(4)).slice(1).toSorted()).toEqual(['puback 3', 'suback 1 0', 'unsuback 2'])
})
