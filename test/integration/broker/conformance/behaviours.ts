import { expect } from 'vitest'
import { PacketClient } from '../../../mqtt/packet-client.ts'
import type { Version } from '../../../mqtt/packets.ts'
import type { Way } from '../../../mqtt/way.ts'
import type { ConnectOptions, Qos, TestClient } from './test-client.ts'

const A: ConnectOptions = { clientId: 'myclientid' }
const B: ConnectOptions = { clientId: 'myclientid2' }
const KEPT_B: ConnectOptions = { ...B, clean: false }
const QOS: readonly Qos[] = [0, 1, 2]

/** Two clients of one library, and where publisher and subscriber connect. */
export interface Cast {
  readonly one: Way
  readonly two: Way
  readonly a: TestClient
  readonly b: TestClient
  readonly version: Version
}

/** By what they show. */
export const BEHAVIOURS: Readonly<Record<string, (cast: Cast) => Promise<void>>> = {
  'connects, leaves and connects again': async ({ one, a }) => {
    await a.connect(one, A)
    await a.disconnect()
    expect(await a.connect(one, A)).toBe(false)
  },

  'a message at each QoS comes at that QoS': async ({ one, two, a, b }) => {
    await b.connect(two, B)
    expect(await b.subscribe(['TopicA', 2])).toEqual([2])
    await a.connect(one, A)
    for (const qos of QOS) await a.publish('TopicA', `qos${qos}`, qos)
    await expect.poll(() => b.messages.toSorted()).toEqual(['TopicA qos0 0', 'TopicA qos1 1', 'TopicA qos2 2'])
  },

  'a message comes at the QoS of the subscription at most': async ({ one, two, a, b }) => {
    await b.connect(two, B)
    expect(await b.subscribe(['TopicA/B', 0], ['TopicA/C', 1])).toEqual([0, 1])
    await a.connect(one, A)
    for (const topic of ['TopicA/B', 'TopicA/C']) await a.publish(topic, 'x', 2)
    await expect.poll(() => b.messages.toSorted()).toEqual(['TopicA/B x 0', 'TopicA/C x 1'])
  },

  'of a shared subscription each message comes once, beside one that is not shared': async ({ one, two, a, b }) => {
    await a.connect(one, A)
    await b.connect(two, B)
    for (const client of [a, b]) {
      expect(await client.subscribe(['$share/sharename/shared/x', 2], ['TopicA', 2])).toEqual([2, 2])
    }
    await b.publish('TopicA', 'for both', 0)
    for (const client of [a, b]) await expect.poll(() => client.messages).toEqual(['TopicA for both 0'])
    for (let n = 0; n < 10; n += 1) await b.publish('shared/x', String(n), QOS[n % 3] ?? 0)
    const shared = (): string[] => [...a.messages, ...b.messages].filter((line) => line.startsWith('shared')).toSorted()
    await expect.poll(shared).toEqual(Array.from({ length: 10 }, (_, n) => `shared/x ${n} ${n % 3}`))
  },

  'retained messages are set, replaced and cleared': async ({ one, two, a, b }) => {
    await a.connect(one, A)
    const topics = ['TopicA/B', 'Topic/C', 'TopicA/C'] as const
    for (const qos of QOS) await a.publish(topics[qos], 'first', qos, true)
    for (const qos of QOS) await a.publish(topics[qos], 'second', qos, true)
    const expected = ['Topic/C second 1 retained', 'TopicA/B second 0 retained', 'TopicA/C second 2 retained']
    await settled(a, a, one)
    await b.connect(two, B)
    await b.subscribe(['+/+', 2])
    await expect.poll(() => b.messages.toSorted()).toEqual(expected)
    for (const qos of QOS) await a.publish(topics[qos], '', qos, true)
    await expect.poll(() => b.messages.length).toBe(6)
    await b.disconnect()
    await b.connect(two, B)
    await b.subscribe(['+/+', 2])
    await a.publish('Topic/C', 'live', 1)
    await expect.poll(() => b.messages.slice(6)).toEqual(['Topic/C live 1'])
  },

  'messages of QoS 1 and 2 wait for a session that is away': async ({ one, two, a, b }) => {
    expect(await b.connect(two, KEPT_B)).toBe(false)
    await b.subscribe(['+/+', 2])
    await b.disconnect()
    await a.connect(one, A)
    await a.publish('TopicA/B', 'qos0', 0)
    await a.publish('Topic/C', 'qos1', 1)
    await a.publish('TopicA/C', 'qos2', 2)
    expect(await b.connect(two, KEPT_B)).toBe(true)
    await expect.poll(() => b.messages).toEqual(['Topic/C qos1 1', 'TopicA/C qos2 2'])
    await b.disconnect()
    await b.connect(two, B)
    expect(await b.connect(two, KEPT_B), 'a clean session ends the one before').toBe(false)
  },

  'overlapping subscriptions: once, at the highest QoS of them, or once each': async ({ one, two, a, b }) => {
    await b.connect(two, B)
    expect(await b.subscribe(['TopicA/#', 2], ['TopicA/+', 1], ['end', 2])).toEqual([2, 1, 2])
    await a.connect(one, A)
    await a.publish('TopicA/C', 'overlapping', 2)
    await settled(a, b, one)
    const got = b.messages.filter((text) => text.startsWith('TopicA')).toSorted()
    expect([['TopicA/C overlapping 2'], ['TopicA/C overlapping 1', 'TopicA/C overlapping 2']]).toContainEqual(got)
  },

  'a will comes when the connection breaks, not after DISCONNECT': async ({ one, two, a, b }) => {
    await b.connect(two, B)
    await b.subscribe(['Topic/C', 2], ['end', 1])
    for (const qos of QOS) {
      await a.connect(one, { ...A, will: { topic: 'Topic/C', payload: `left${qos}`, qos } })
      await a.disconnect()
      await a.connect(one, { ...A, will: { topic: 'Topic/C', payload: `broke${qos}`, qos } })
      await a.drop()
      await expect.poll(() => b.messages.at(-1)).toBe(`Topic/C broke${qos} ${qos}`)
    }
    expect(b.messages).toHaveLength(3)
  },

  'a silent client is disconnected, and its will comes': async ({ one, two, a, b }) => {
    await b.connect(two, { ...B, keepalive: 0 })
    await b.subscribe(['/TopicA', 2])
    await a.connect(one, { ...A, keepalive: 1, will: { topic: '/TopicA', payload: 'keepalive expiry', qos: 1 } })
    await a.silence()
    await expect.poll(() => b.messages).toEqual(['/TopicA keepalive expiry 1'])
  },

  'what was not acknowledged comes again on the next connection': async ({ one, two, a, b }) => {
    await b.connect(two, KEPT_B)
    await b.subscribe(['TopicA/#', 2])
    await b.mute()
    await a.connect(one, A)
    await a.publish('TopicA/B', 'qos1', 1)
    await a.publish('TopicA/C', 'qos2', 2)
    await b.drop()
    expect(b.messages).toEqual([])
    expect(await b.connect(two, KEPT_B)).toBe(true)
    await expect.poll(() => b.messages).toEqual(['TopicA/B qos1 1', 'TopicA/C qos2 2'])
    await b.disconnect()
    // All is acknowledged now: nothing comes again.
    expect(await b.connect(two, KEPT_B)).toBe(true)
    await a.publish('TopicA/B', 'last', 1)
    await expect.poll(() => b.messages.slice(2)).toEqual(['TopicA/B last 1'])
  },

  'the session of a client that only publishes is present': async ({ one, two, b }) => {
    expect(await b.connect(one, KEPT_B)).toBe(false)
    await b.publish('TopicA/B', 'of a session', 1)
    await b.disconnect()
    expect(await b.connect(two, KEPT_B)).toBe(true)
    await b.drop()
    expect(await b.connect(one, KEPT_B), 'after a connection that broke').toBe(true)
    await b.disconnect()
    expect(await b.connect(two, { ...B, clean: true })).toBe(false)
    await b.disconnect()
    expect(await b.connect(one, KEPT_B), 'a clean session ends the one before').toBe(false)
  },

  'a subscription that a deny rule covers is refused, a wider one is granted without it': async (cast) => {
    const { one, two, a, b, version } = cast
    await b.connect(two, B)
    expect(await b.subscribe(['test/nosubscribe', 2])).toEqual([version === 5 ? 0x87 : 0x80])
    expect(await b.subscribe(['+/+', 2])).toEqual([2])
    await a.connect(one, A)
    await a.publish('test/nosubscribe', 'secret', 1)
    await a.publish('test/other', 'x', 1)
    await expect.poll(() => b.messages).toEqual(['test/other x 1'])
  },

  'a message to a $ topic is acknowledged and goes to nobody': async ({ one, two, a, b }) => {
    await b.connect(two, B)
    await b.subscribe(['#', 2], ['+/+', 2], ['end', 2])
    await a.connect(one, A)
    for (const qos of QOS) await a.publish('$TopicA/B', 'x', qos).catch(onlyRefusedByReason)
    await settled(a, b, one)
    expect(b.messages).toEqual(['end 0 2'])
  },

  'nothing comes after UNSUBSCRIBE, and the other subscriptions stay': async ({ one, two, a, b }) => {
    await b.connect(two, B)
    await b.subscribe(['TopicA', 2], ['TopicA/B', 2], ['Topic/C', 2])
    await b.unsubscribe('TopicA')
    await b.unsubscribe('never/subscribed')
    await a.connect(one, A)
    for (const topic of ['TopicA', 'TopicA/B', 'Topic/C']) await a.publish(topic, 'x', 1)
    await expect.poll(() => b.messages).toEqual(['TopicA/B x 1', 'Topic/C x 1'])
  },
}

/** Resolves when `reader`, which subscribes to `end`, has what was published before. */
async function settled(writer: TestClient, reader: TestClient, way: Way): Promise<void> {
  if (reader === writer) {
    const witness = new PacketClient(way, 4)
    await witness.connect({ clientId: 'witness' })
    await witness.publish('end', 'x')
    return
  }
  // At QoS 2, as what it must not overtake: such a message is there with its PUBREL.
  await writer.publish('end', '0', 2)
  await expect.poll(() => reader.messages).toContain('end 0 2')
}

/** MQTT 5 says in the acknowledgement that the topic is not taken; MQTT.js makes an error of that. */
function onlyRefusedByReason(error: unknown): void {
  if (!(error instanceof Error) || !/Topic Name invalid/i.test(error.message)) throw error
}
