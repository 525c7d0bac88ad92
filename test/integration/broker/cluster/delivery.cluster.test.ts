import { describe, expect, it } from 'vitest'
import { connectJs, gone } from '../../../mqtt/mqtt-js.ts'
import { startNodes } from './nodes.ts'

describe('a message on one node', () => {
  it.each([0, 1, 2] as const)('reaches each subscriber on any node once, in order, at QoS %i', async (qos) => {
    const nodes = await startNodes()
    const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((id) => nodes.start(id)))
    const inboxes = []
    for (const [index, node] of [one, two, three, two].entries()) {
      const inbox = await connectJs(node?.port ?? 0, {
        username: 'app',
        clientId: `app-${index}`,
        clean: index % 2 === 0,
      })
      await inbox.client.subscribeAsync(['t/a/+/status', 't/+/1/#', 'house/#'], { qos })
      inboxes.push(inbox)
    }
    const device = await connectJs(one?.port ?? 0)
    const expected: string[] = []
    const work: Promise<unknown>[] = []
    for (let n = 0; n < 50; n += 1) {
      work.push(device.client.publishAsync('t/a/1/status', String(n), { qos }))
      expected.push(`t/a/1/status ${n} ${qos}`)
    }
    await Promise.all(work)
    for (const inbox of inboxes) await expect.poll(() => inbox.messages).toEqual(expected)
  })

  it('is a command: only the device gets it, on whatever node it is', async () => {
    const nodes = await startNodes()
    const one = await nodes.start('one')
    const two = await nodes.start('two')
    const app = await connectJs(one.port, { username: 'app' })
    const device = await connectJs(two.port, { username: 'a/1' })
    const other = await connectJs(two.port, { username: 'a/2' })
    await device.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
    await other.client.subscribeAsync('t/a/2/cmd/#', { qos: 1 })
    await app.client.publishAsync('t/a/1/cmd/now', 'x', { qos: 1 })
    await app.client.publishAsync('t/a/1/cmd/now', 'y', { qos: 0 })
    await app.client.publishAsync('t/a/2/cmd/now', 'z', { qos: 2 })
    await expect.poll(() => device.messages).toEqual(['t/a/1/cmd/now x 1', 't/a/1/cmd/now y 0'])
    await expect.poll(() => other.messages).toEqual(['t/a/2/cmd/now z 1'])
  })

  it('is retained for subscribers on another node, until it is removed on a third', async () => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const device = await connectJs(one.port, { username: 'a/1' })
    await device.client.publishAsync('t/a/1/status', 'on', { qos: 1, retain: true })
    const app = await connectJs(two.port, { username: 'app' })
    await app.client.publishAsync('house/door', 'open', { qos: 0, retain: true })
    await app.client.subscribeAsync('t/+/+/status', { qos: 1 })
    await app.client.subscribeAsync('house/+', { qos: 1 })
    await expect.poll(() => app.messages).toEqual(['t/a/1/status on 1 retained', 'house/door open 0 retained'])
    await app.client.publishAsync('t/a/1/status', '', { qos: 1, retain: true })
    const late = await connectJs(one.port, { username: 'app', clientId: 'late' })
    await late.client.subscribeAsync('#', { qos: 1 })
    await expect.poll(() => late.messages).toEqual(['house/door open 0 retained'])
  })

  it.each([0, 1, 2] as const)('comes to its own client, which subscribed right before it, at QoS %i', async (qos) => {
    const nodes = await startNodes()
    const [one] = [await nodes.start('one'), await nodes.start('two')]
    const app = await connectJs(one.port, { username: 'app' })
    const topics = Array.from({ length: 100 }, (_, n) => `house/${n}`)
    const { client } = app
    // Nobody waits for a SUBACK.
    await Promise.all(
      topics.flatMap((topic) => [client.subscribeAsync(topic, { qos }), client.publishAsync(topic, 'x', { qos })]),
    )
    await expect.poll(() => app.messages).toEqual(topics.map((topic) => `${topic} x ${qos}`))
  })

  it('is telemetry: it goes to the log, and to a subscriber on another node', async () => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const app = await connectJs(two.port, { username: 'app' })
    await app.client.subscribeAsync('t/+/+/telemetry', { qos: 1 })
    const device = await connectJs(one.port, { username: 'a/1' })
    await device.client.publishAsync('t/a/1/telemetry', '{"x":1}', { qos: 1 })
    await device.client.publishAsync('t/a/1/telemetry/other', '{"x":2}', { qos: 1 })
    await expect.poll(() => app.messages).toEqual(['t/a/1/telemetry {"x":1} 0'])
    expect(one.log.records.length).toBe(2)
  })
})

describe('a persistent session', () => {
  it('moves between nodes with its subscriptions and messages', async () => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const app = await connectJs(one.port, { username: 'app' })
    const options = { clientId: 'p', clean: false }
    const first = await connectJs(one.port, { username: 'a/1', ...options })
    await first.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
    await first.client.endAsync()
    const expected: string[] = []
    for (let n = 0; n < 20; n += 1) {
      await app.client.publishAsync('t/a/1/cmd/x', String(n), { qos: 1 })
      expected.push(`t/a/1/cmd/x ${n} 1`)
    }
    const second = await connectJs(two.port, { username: 'a/1', ...options })
    await expect.poll(() => second.messages).toEqual(expected)
    await app.client.publishAsync('t/a/1/cmd/x', 'live', { qos: 1 })
    await expect.poll(() => second.messages.at(-1)).toBe('t/a/1/cmd/x live 1')
    await expect.poll(() => nodes.link.run((redis) => redis.keys('sluice:queue:*'))).toEqual([])
    await expect.poll(() => nodes.link.run((redis) => redis.keys('sluice:ids:*'))).toEqual([])
  })

  it('is taken over from another node at once, and the will of the former connection comes before', async () => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const app = await connectJs(two.port, { username: 'app' })
    await app.client.subscribeAsync('t/+/+/status', { qos: 1 })
    const will = { topic: 't/a/1/status', payload: Buffer.from('gone'), qos: 1 as const, retain: true }
    const first = await connectJs(one.port, { username: 'a/1', clientId: 'p', will })
    const closed = gone(first)
    const second = await connectJs(two.port, { username: 'a/1', clientId: 'p', will })
    await closed
    await second.client.publishAsync('t/a/1/status', 'on', { qos: 1, retain: true })
    await expect.poll(() => app.messages).toEqual(['t/a/1/status gone 1', 't/a/1/status on 1'])
    expect(one.broker.status().clients).toBe(0)
    expect(await nodes.link.run((redis) => redis.hvals('sluice:sessions:a/1'))).toEqual([
      expect.stringMatching(/ c two$/),
    ])
  })
})
