import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { APP, logIn5 } from '../../mqtt/packet-client.ts'
import { packet5 } from '../../mqtt/packets.ts'

const RETAIN_AS_PUBLISHED = 8
const TOPICS = ['x/0', 'x/1', 'x/2', 'x/3'] as const
const qosOf = (topic: string): 1 | 2 => (Number(topic.at(-1)) % 2 === 0 ? 1 : 2)

describe('retained messages to a persistent session', () => {
  it.each([
    ['that wants the flag as published', RETAIN_AS_PUBLISHED, ' retained'],
    ['that does not', 0, ''],
  ])('%s come again unless they were acknowledged', async (_name, options, flag) => {
    const { port } = await startBroker()
    const forever = { ...APP, clean: false, properties: { sessionExpiryInterval: 0xffffffff } }
    const first = await logIn5(port, forever)
    first.send(packet5.subscribe(1, ['x/+', 2 | options]))
    await first.packetsUpTo(2)
    const other = await logIn5(port, { ...APP, clientId: 'other' })
    for (const [index, topic] of TOPICS.entries()) {
      other.send(packet5.publish(topic, 'on', { id: index + 1, qos: qosOf(topic), retain: true }))
    }
    await first.packetsUpTo(6)
    const line = (topic: string): string => `publish ${topic} on q${qosOf(topic)}${flag}`
    expect(first.texts.slice(2).toSorted()).toEqual(TOPICS.map(line))
    const idOf = (topic: string): number => first.messages.find((it) => it.topic === topic)?.messageId ?? 0
    // The other two stay open.
    first.send(packet5.puback(idOf('x/0')), packet5.pubrec(idOf('x/1')))
    await first.until(() => first.texts.includes(`pubrel ${idOf('x/1')}`))
    first.send(packet5.pubcomp(idOf('x/1')), packet5.disconnect())
    await first.closed()

    const again = await logIn5(port, forever)
    again.send(packet5.subscribe(2, ['end', 0]))
    await again.until(() => again.texts.includes('suback 2 0x0'))
    other.send(packet5.publish('end', 'END'))
    await again.until(() => again.texts.includes('publish end END q0'))
    const came = again.texts.filter((it) => it.startsWith('publish x'))
    expect(came.toSorted()).toEqual([line('x/2'), line('x/3')])
    // Each under its id, with DUP.
    const repeats = again.messages.filter(({ qos }) => qos > 0)
    expect(repeats.every(({ topic, dup, messageId }) => dup && messageId === idOf(topic))).toBe(true)
  })
})
