import { describe, expect, it } from 'vitest'
import { APP, logIn5, type PacketClient } from '../../../mqtt/packet-client.ts'
import { allOf, packet5, property } from '../../../mqtt/packets.ts'
import { startNodes } from './nodes.ts'

const PROPERTIES = Buffer.concat([property.text(3, 'c'), property.user('b', '1'), property.user('a', '2')])
const messageFrames = (client: PacketClient) => client.frames.filter((bytes) => (bytes[0] ?? 0) >> 4 === 3)
const published = (client: PacketClient) => client.texts.filter((text) => text.startsWith('publish'))
const forever = (clientId: string) => ({
  ...APP,
  clientId,
  clean: false,
  properties: { sessionExpiryInterval: 0xffffffff },
})

describe('MQTT 5 on several nodes', () => {
  it.each([0, 1, 2])('messages of QoS %i keep their properties: live, retained, and for who was away', async (qos) => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const away = await logIn5(two.port, forever('away'), packet5.subscribe(1, ['x/#', 2]))
    await away.packetsUpTo(2)
    away.send(packet5.disconnect())
    await away.closed()
    const here = await logIn5(one.port, { ...APP, clientId: 'here' }, packet5.subscribe(1, ['x/#', 2]))
    const there = await logIn5(two.port, { ...APP, clientId: 'there' }, packet5.subscribe(1, ['x/#', 2]))
    await Promise.all([here.packetsUpTo(2), there.packetsUpTo(2)])
    const publisher = await logIn5(one.port, { ...APP, clientId: 'publisher' })
    publisher.send(packet5.publish('x/1', 'm', { qos, retain: true, properties: PROPERTIES }))
    if (qos > 0) await publisher.packetsUpTo(2)
    if (qos === 2) publisher.send(packet5.pubrel(1))
    const got: PacketClient[] = [here, there]
    for (const client of got) await client.until(() => client.messages.length > 0)
    got.push(await logIn5(two.port, { ...APP, clientId: 'late' }, packet5.subscribe(1, ['x/#', 2])))
    if (qos > 0) got.push(await logIn5(one.port, forever('away')))
    for (const client of got) {
      await client.until(() => client.messages.length > 0)
      // In the same order, too.
      expect(messageFrames(client).map((bytes) => bytes.includes(allOf(PROPERTIES)))).toEqual([true])
    }
  })

  it.each(['stays', 'ends'])(
    'what a client asks for in one write with its DISCONNECT is done, when it %s',
    async (how) => {
      const nodes = await startNodes()
      const [one, two] = [await nodes.start('one'), await nodes.start('two')]
      const left = await logIn5(one.port, forever('left'))
      left.send(packet5.subscribe(1, ['x/1', 1]), packet5.subscribe(2, ['x/2', 1]), packet5.disconnect())
      if (how === 'ends') left.socket.end()
      await left.closed()
      if (how === 'stays') expect(left.texts.slice(1)).toEqual(['suback 1 0x1', 'suback 2 0x1'])
      const publisher = await logIn5(two.port, { ...APP, clientId: 'publisher' })
      publisher.send(packet5.publish('x/1', 'a', { id: 1, qos: 1 }), packet5.publish('x/2', 'b', { id: 2, qos: 1 }))
      await publisher.packetsUpTo(3)
      const back = await logIn5(two.port, forever('left'))
      await back.until(() => back.messages.length >= 2)
      expect(published(back)).toEqual(['publish x/1 a q1', 'publish x/2 b q1'])
    },
  )

  it('a takeover by another node is told', async () => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const first = await logIn5(one.port, forever('same'), packet5.subscribe(1, ['x/#', 1]))
    await first.packetsUpTo(2)
    const second = await logIn5(two.port, forever('same'))
    await first.closed()
    expect(first.texts.at(-1)).toBe('disconnect 0x8e')
    expect(second.texts).toEqual(['connack 1 0x0'])
  })

  it('a will waits for its delay or the end of its session, and is dropped when its client is back anywhere', async () => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const app = await logIn5(two.port, { ...APP, clientId: 'app' }, packet5.subscribe(1, ['t/a/1/status', 1]))
    await app.packetsUpTo(2)
    const client = (clientId: string, delay: number, expiry: number) => {
      const will = { topic: 't/a/1/status', payload: clientId, qos: 1, properties: { willDelayInterval: delay } }
      return { clientId, will, properties: { sessionExpiryInterval: expiry } }
    }
    const back = client('back', 1, 60)
    const all = [back, client('delayed', 1, 60), client('expired', 60, 1)]
    for (const options of all) (await logIn5(one.port, options)).socket.destroy()
    await logIn5(two.port, { ...back, clean: false })
    // The one of which nothing may come was due first.
    await app.until(() => app.messages.length >= 2)
    expect(published(app).toSorted()).toEqual(['publish t/a/1/status delayed q1', 'publish t/a/1/status expired q1'])
  })

  it('options of a subscription hold on every node', async () => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const client = await logIn5(one.port, forever('options'), packet5.subscribe(1, ['x/own', 1 | 4], ['x/kept', 1 | 8]))
    await client.packetsUpTo(2)
    const other = await logIn5(two.port, { ...APP, clientId: 'other' })
    for (const [index, publisher] of [client, other].entries()) {
      publisher.send(packet5.publish('x/own', `own ${index}`, { qos: 1, id: 1 }))
      publisher.send(packet5.publish('x/kept', `kept ${index}`, { qos: 1, id: 2, retain: true }))
      await publisher.until(() => publisher.texts.includes('puback 2'))
    }
    await client.until(() => client.messages.length >= 3)
    expect(published(client).toSorted()).toEqual([
      'publish x/kept kept 0 q1 retained',
      'publish x/kept kept 1 q1 retained',
      'publish x/own own 1 q1',
    ])
  })
})
