import { expect, it } from 'vitest'
import { BROKER_PARTS } from '../../../services/broker/connection/broker-context.ts'
import type { UnreleasedStore } from '../../../services/broker/telemetry/unreleased.ts'
import type { UnreleasedChange } from '../../../shared/sessions/port.ts'
import { startBroker } from '../../broker-harness.ts'
import { logIn } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'
import { earlyPubrec, swallowing, writingThrough } from '../../variants/unreleased-stores.ts'

type Through = (store: UnreleasedStore) => UnreleasedStore

const KEPT = { clean: false } as const
const THE_PRODUCT: Through = (store) => store

/** A store that can be held: its writes wait. */
function holding() {
  const waiting: (() => void)[] = []
  const writes: (readonly UnreleasedChange[])[] = []
  let isHeld = false
  const through: Through = (store) =>
    writingThrough(store, async (changes) => {
      writes.push(changes)
      if (isHeld) await new Promise<void>((resolve) => waiting.push(resolve))
      return store.writeUnreleased(changes)
    })
  const hold = () => void (isHeld = true)
  const goOn = () => {
    isHeld = false
    for (const resolve of waiting.splice(0)) resolve()
  }
  return { through, writes, hold, goOn }
}

/** What a device is told of a message of QoS 2 while its id is not written down, and then. */
async function toldWhileHeld(variant: Through): Promise<{ before: string[]; after: string[] }> {
  const store = holding()
  const through: Through = (inner) => variant(store.through(inner))
  const { port, log } = await startBroker({}, { ...BROKER_PARTS, throughUnreleased: through })
  const client = await logIn(port, KEPT)
  store.hold()
  client.send(packet.publish('t/a/1/telemetry', '1', { qos: 2, id: 1 }))
  await expect.poll(() => [log.records.length, store.writes.length]).toEqual([1, 1])
  client.send(packet.pingreq)
  await client.until(() => client.texts.includes('pingresp'))
  const before = client.texts.filter((text) => text.startsWith('pub'))
  store.goOn()
  await client.until(() => client.texts.includes('pubrec 1'))
  store.hold()
  client.send(packet.pubrel(1), packet.pingreq)
  await client.until(() => client.texts.filter((text) => text === 'pingresp').length === 2)
  const isEarly = client.texts.includes('pubcomp 1')
  store.goOn()
  await client.until(() => client.texts.includes('pubcomp 1'))
  return { before, after: isEarly ? ['pubcomp 1'] : [] }
}

/** How many messages are stored of two with the same id and bytes, of which the second one comes with DUP. */
async function storedOfTwo(through: Through): Promise<number> {
  const { port, log } = await startBroker({}, { ...BROKER_PARTS, throughUnreleased: through })
  const message = (dup: boolean) => packet.publish('t/a/1/telemetry', '{"pulse":1}', { qos: 2, id: 1, dup })
  const first = await logIn(port, KEPT)
  first.send(message(false))
  await first.packetsUpTo(2)
  first.send(packet.pubrel(1))
  await first.packetsUpTo(3)
  // The second one never came from this connection.
  first.drop()
  const second = await logIn(port, KEPT)
  second.send(message(true))
  await second.packetsUpTo(2)
  return log.records.length
}

it('PUBREC leaves when the id is written down, PUBCOMP when it is not any more', async () => {
  expect(await toldWhileHeld(THE_PRODUCT)).toEqual({ before: [], after: [] })
})

it('the check above sees a PUBREC that leaves early', async () => {
  expect(await toldWhileHeld(earlyPubrec)).toEqual({ before: ['pubrec 1'], after: ['pubcomp 1'] })
})

it('an id that is used again is never taken for its last message', async () => {
  expect(await storedOfTwo(THE_PRODUCT)).toBe(2)
})

it('the check above sees a store that swallows', async () => {
  expect(await storedOfTwo(swallowing)).toBe(1)
})

it('the ids of one append are written together, and nothing else is written', async () => {
  const store = holding()
  const { port, log } = await startBroker({}, { ...BROKER_PARTS, throughUnreleased: store.through })
  const publish = (device: number, qos: number, id: number) =>
    packet.publish(`t/a/${device}/telemetry`, '1', { qos, id })
  const clean = await logIn(port, { username: 'a/9' })
  clean.send(publish(9, 2, 1), packet.pubrel(1))
  await clean.packetsUpTo(3)
  const clients = await Promise.all([1, 2, 3, 4, 5].map((n) => logIn(port, { ...KEPT, username: `a/${n}` })))
  clients.forEach((client, n) => client.send(publish(n + 1, 1, 1), publish(n + 1, 0, 0)))
  await Promise.all(clients.map((client) => client.packetsUpTo(2)))
  expect(store.writes).toHaveLength(0)

  log.stall()
  // What is in flight keeps the next append waiting until everything has come.
  clean.send(publish(9, 1, 2))
  await expect.poll(() => log.appends).toBeGreaterThan(0)
  clients.forEach((client, n) => client.send(publish(n + 1, 2, 2), publish(n + 1, 2, 3), packet.pingreq))
  await Promise.all(clients.map((client) => client.packetsUpTo(3)))
  log.resume()
  await Promise.all(clients.map((client) => client.packetsUpTo(5)))
  expect(store.writes.map((changes) => changes.length)).toEqual([10])
})
