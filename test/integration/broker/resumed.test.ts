import { expect, it } from 'vitest'
import { startBroker, type FakeLog } from '../../broker-harness.ts'
import { logIn, logIn5, type PacketClient } from '../../mqtt/packet-client.ts'
import { packet, packet5 } from '../../mqtt/packets.ts'

const TOPIC = 't/a/1/telemetry'
const PULSE = '{"pulse":1}'
const KEPT = { clean: false } as const

const pulse = (id: number, qos: 1 | 2, dup = false, payload = PULSE) => packet.publish(TOPIC, payload, { qos, id, dup })

/** Sends packets and returns what comes for them, after what came before. */
async function ask(client: PacketClient, answers: number, ...packets: Buffer[]): Promise<string[]> {
  const before = client.packets.length
  client.send(...packets)
  return (await client.packetsUpTo(before + answers)).slice(before)
}

/** A connection that is gone when this resolves, for the broker too: nothing more of it is taken. */
async function breakOff(client: PacketClient, port: number): Promise<void> {
  client.drop()
  // Whoever takes the client id waits for its holder.
  const next = await logIn(port, { username: 'a/2' })
  await ask(next, 1, packet.pingreq)
  next.drop()
}

const stampsOf = (log: FakeLog) => log.records.map(({ ms, ns }) => `${ms}.${ns}`)

/** As a session that goes on: the first connection, and how to get the next one. */
async function resumable() {
  const harness = await startBroker()
  const { port } = harness
  let client = await logIn(port, KEPT)
  const again = async (options: { clean: boolean } = KEPT): Promise<PacketClient> => {
    await breakOff(client, port)
    return (client = await logIn(port, options))
  }
  return { ...harness, first: client, again }
}

it('a message of QoS 2 that comes again on the next connection is stored once', async () => {
  const { log, first, again, metric } = await resumable()
  expect(await ask(first, 1, pulse(5, 2))).toEqual(['pubrec 5'])
  const next = await again()
  expect(await ask(next, 1, pulse(5, 2, true))).toEqual(['pubrec 5'])
  expect(await ask(next, 1, pulse(5, 2, true))).toEqual(['pubrec 5'])
  // On the one after it, too.
  const last = await again()
  expect(await ask(last, 2, pulse(5, 2, true), packet.pubrel(5))).toEqual(['pubrec 5', 'pubcomp 5'])
  expect(log.records).toHaveLength(1)
  expect(await metric('sluice_broker_repeats_acknowledged_total')).toBe(2)
  expect(await metric('sluice_broker_qos2_open_ids')).toBe(0)
})

it('QoS 2 without DUP: a repeat as long as nothing new has come, and a new message from then on', async () => {
  const { log, first, again } = await resumable()
  await ask(first, 2, pulse(5, 2), pulse(6, 2))
  const next = await again()
  expect(await ask(next, 1, pulse(5, 2))).toEqual(['pubrec 5'])
  expect(log.records).toHaveLength(2)
  await ask(next, 1, pulse(7, 1))
  expect(await ask(next, 1, pulse(6, 2))).toEqual(['pubrec 6'])
  expect(log.records).toHaveLength(4)
})

it('an id that is used again is a new message: after its end, with DUP or without, with the same bytes or others', async () => {
  const { log, first, again } = await resumable()
  await ask(first, 1, pulse(5, 2))
  await ask(first, 1, pulse(6, 2))
  await ask(first, 1, pulse(7, 2))
  expect(await ask(first, 1, packet.pubrel(5))).toEqual(['pubcomp 5'])
  const next = await again()
  // Released, and sent again although its first copy never came.
  expect(await ask(next, 1, pulse(5, 2, true))).toEqual(['pubrec 5'])
  // A client that has lost what it knew begins with ids that are open here.
  expect(await ask(next, 1, pulse(6, 2))).toEqual(['pubrec 6'])
  expect(await ask(next, 1, pulse(7, 2, true, '{"pulse":2}'))).toEqual(['pubrec 7'])
  expect(log.records).toHaveLength(6)
  expect(new Set(stampsOf(log)).size).toBe(6)
  // And these are known in their turn.
  const last = await again()
  const repeats = [pulse(5, 2, true), pulse(6, 2, true), pulse(7, 2, true, '{"pulse":2}')]
  expect(await ask(last, 3, ...repeats)).toEqual(['pubrec 5', 'pubrec 6', 'pubrec 7'])
  const ends = [5, 6, 7].map((id) => packet.pubrel(id))
  expect((await ask(last, 3, ...ends)).toSorted()).toEqual(['pubcomp 5', 'pubcomp 6', 'pubcomp 7'])
  expect(log.records).toHaveLength(6)
})

it.each([1, 2] as const)('a clean session remembers nothing at QoS %i', async (qos) => {
  const { log, first, again } = await resumable()
  await ask(first, 1, pulse(5, qos))
  await again({ clean: true })
  const last = await again()
  await ask(last, 1, pulse(5, qos, true))
  expect(log.records).toHaveLength(2)
  expect(new Set(stampsOf(log)).size).toBe(2)
})

it('PUBREL is answered on the next connection, for ids that are known and for others', async () => {
  const { log, first, again } = await resumable()
  await ask(first, 1, pulse(5, 2))
  const next = await again()
  expect(await ask(next, 1, packet.pubrel(5))).toEqual(['pubcomp 5'])
  expect(await ask(next, 1, packet.pubrel(5))).toEqual(['pubcomp 5'])
  expect(await ask(next, 1, packet.pubrel(99))).toEqual(['pubcomp 99'])
  await ask(next, 1, pulse(5, 2, true))
  expect(log.records).toHaveLength(2)
})

it('a message of QoS 1 that comes again gets the time at which it came first, and is appended', async () => {
  const { log, first, again, metric } = await resumable()
  for (let id = 1; id <= 64; id += 1) await ask(first, 1, pulse(id, 1))
  const next = await again()
  expect(await ask(next, 2, pulse(1, 1, true), pulse(64, 1, true))).toEqual(['puback 1', 'puback 64'])
  const stamps = stampsOf(log)
  expect(stamps.slice(64)).toEqual([stamps[0], stamps[63]])
  expect(await metric('sluice_broker_repeats_restamped_total')).toBe(2)
  // Other bytes are another message; and so is the id without DUP, from then on.
  await ask(next, 1, pulse(2, 1, true, '{"pulse":2}'))
  await ask(next, 1, pulse(3, 1))
  await ask(next, 1, pulse(3, 1, true))
  expect(new Set(stampsOf(log).slice(66)).size).toBe(3)
  expect(new Set(stampsOf(log)).size).toBe(67)
})

it('only the connection before counts, and in doubt a message is new', async () => {
  const { log, first, again } = await resumable()
  await ask(first, 1, pulse(1, 1))
  // Twice the same id and bytes: whether the next is one of them or the third, nobody knows.
  await ask(first, 1, pulse(2, 1))
  await ask(first, 1, pulse(2, 1))
  const second = await again()
  await ask(second, 1, pulse(2, 1, true))
  await again()
  const last = await again()
  await ask(last, 1, pulse(1, 1, true))
  expect(new Set(stampsOf(log)).size).toBe(5)
})

it.each([1, 2] as const)('a message of QoS %i that was on its way into the log keeps its time', async (qos) => {
  const { log, first, again } = await resumable()
  log.stall()
  first.send(pulse(5, qos), pulse(6, qos, false, '{"pulse":2}'), packet.pingreq)
  await first.packetsUpTo(2)
  const next = await again()
  const repeats = [pulse(5, qos, true), pulse(6, qos, true, '{"pulse":2}')]
  next.send(...repeats, packet.pingreq)
  await next.packetsUpTo(2)
  log.resume()
  await next.packetsUpTo(4)
  const stamps = stampsOf(log)
  expect(stamps).toHaveLength(4)
  expect(stamps.slice(2)).toEqual(stamps.slice(0, 2))
})

it('acknowledgements keep the order of the messages over both qualities', async () => {
  const { first } = await resumable()
  const mixed = [pulse(1, 1), pulse(2, 2), pulse(3, 1), pulse(4, 2), pulse(5, 1)]
  expect(await ask(first, 5, ...mixed)).toEqual(['puback 1', 'pubrec 2', 'puback 3', 'pubrec 4', 'puback 5'])
  const released = await ask(first, 3, packet.pubrel(2), pulse(6, 1), packet.pubrel(4), packet.pingreq)
  expect(released).toContain('pingresp')
})

it('a PUBREL that overtakes its PUBREC waits for it', async () => {
  const { log, first, again } = await resumable()
  expect(await ask(first, 2, pulse(5, 2), packet.pubrel(5))).toEqual(['pubrec 5', 'pubcomp 5'])
  const next = await again()
  await ask(next, 1, pulse(5, 2, true))
  expect(log.records).toHaveLength(2)
})

it('an id that goes on as a command of QoS 2 is released there', async () => {
  const { first, again } = await resumable()
  await ask(first, 1, pulse(5, 2))
  const next = await again()
  const status = packet.publish('t/a/1/status', 'on', { qos: 2, id: 5 })
  expect(await ask(next, 2, status, packet.pubrel(5))).toEqual(['pubrec 5', 'pubcomp 5'])
})

it('MQTT 5: open ids of the connection before are none of the Receive Maximum, until they come again', async () => {
  const { port, log } = await startBroker({ MAX_IN_FLIGHT_PER_CLIENT: 2 })
  const lasting = { clean: false, properties: { sessionExpiryInterval: 60 } }
  const publish = (id: number, dup = false) => packet5.publish(TOPIC, `{"id":${id}}`, { qos: 2, id, dup })
  const first = await logIn5(port, lasting)
  await ask(first, 2, publish(1), publish(2))
  await breakOff(first, port)
  const next = await logIn5(port, lasting)
  expect(await ask(next, 2, publish(3), publish(4))).toEqual(['pubrec 3', 'pubrec 4'])
  await breakOff(next, port)
  const last = await logIn5(port, lasting)
  expect(await ask(last, 2, publish(1, true), publish(2, true))).toEqual(['pubrec 1', 'pubrec 2'])
  expect(log.records).toHaveLength(4)
  last.send(publish(5))
  await last.closed()
  expect(last.texts.at(-1)).toBe('disconnect 0x93')
})

it.each([true, false])('MQTT 5: PUBCOMP says that there was nothing to release, clean start %s', async (clean) => {
  const { port } = await startBroker()
  const publish = (topic: string, id: number) => packet5.publish(topic, '1', { qos: 2, id })
  const client = await logIn5(port, { clean, properties: { sessionExpiryInterval: clean ? 0 : 60 } })
  expect(await ask(client, 2, publish(TOPIC, 1), publish('t/a/1/status', 2))).toEqual(['pubrec 1', 'pubrec 2'])
  const released = await ask(client, 3, packet5.pubrel(1), packet5.pubrel(2), packet5.pubrel(3))
  expect(released.toSorted()).toEqual(['pubcomp 1', 'pubcomp 2', 'pubcomp 3 0x92'])
  expect(await ask(client, 2, packet5.pubrel(1), packet5.pubrel(2))).toEqual(['pubcomp 1 0x92', 'pubcomp 2 0x92'])
})

it('MQTT 5: a session that ends, or begins anew, takes its ids with it', async () => {
  const { port, log } = await startBroker()
  const lasting = (clean: boolean) => ({ clean, properties: { sessionExpiryInterval: 60 } })
  const publish = (dup: boolean) => packet5.publish(TOPIC, PULSE, { qos: 2, id: 1, dup })
  const first = await logIn5(port, lasting(false))
  await ask(first, 1, publish(false))
  await breakOff(first, port)
  const second = await logIn5(port, lasting(true))
  await ask(second, 1, publish(true))
  expect(log.records).toHaveLength(2)
  second.send(packet5.disconnect(0, { sessionExpiryInterval: 0 }))
  await second.closed()
  const third = await logIn5(port, lasting(false))
  await ask(third, 1, publish(true))
  expect(log.records).toHaveLength(3)
  expect(new Set(stampsOf(log)).size).toBe(3)
})

it('ids that a client never releases are bounded, oldest first', async () => {
  const { port, log, metric } = await startBroker({ MAX_IN_FLIGHT_PER_CLIENT: 4 })
  const first = await logIn(port, KEPT)
  for (let id = 1; id <= 20; id += 1) await ask(first, 1, pulse(id, 2))
  expect(await metric('sluice_broker_qos2_open_ids')).toBe(16)
  expect(await metric('sluice_broker_qos2_given_up_total')).toBe(4)
  await breakOff(first, port)
  const next = await logIn(port, KEPT)
  await ask(next, 2, pulse(20, 2, true), pulse(1, 2, true))
  expect(log.records).toHaveLength(21)
})
