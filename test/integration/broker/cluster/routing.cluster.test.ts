import fc from 'fast-check'
import { expect, it } from 'vitest'
import { nodeChannel } from '../../../../shared/mesh/mesh.ts'
import { listNodes } from '../../../../shared/mesh/node-list.ts'
import { matches } from '../../../../shared/topic-filter.ts'
import { connectJs, gone, type Inbox } from '../../../mqtt/mqtt-js.ts'
import { startNodes } from './nodes.ts'

const WORDS = ['a', 'b', 'c']
const word = fc.constantFrom(...WORDS)
const topic = fc.array(word, { minLength: 1, maxLength: 3 }).map((levels) => `house/${levels.join('/')}`)
const filter = fc
  .tuple(fc.array(fc.constantFrom(...WORDS, '+'), { maxLength: 3 }), fc.boolean())
  .map(([levels, open]) => ['house', ...levels, ...(open || levels.length === 0 ? ['#'] : [])].join('/'))

it('whatever is subscribed on whatever node: each message of QoS 1 reaches each subscriber once', async () => {
  const nodes = await startNodes()
  const started = await Promise.all(['one', 'two', 'three'].map((id) => nodes.start(id)))
  const node = fc.nat({ max: 2 })
  const subscriber = fc.record({
    node,
    filters: fc.uniqueArray(filter, { minLength: 1, maxLength: 3 }),
    clean: fc.boolean(),
  })
  const publication = fc.record({ node, topic })
  let run = 0
  const property = fc.asyncProperty(
    fc.array(subscriber, { minLength: 1, maxLength: 4 }),
    fc.array(publication, { minLength: 1, maxLength: 20 }),
    async (subscribers, publications) => {
      run += 1
      const port = (index: number): number => started[index]?.port ?? 0
      const clients: Inbox[] = []
      for (const [index, { node: at, filters, clean }] of subscribers.entries()) {
        const inbox = await connectJs(port(at), { username: 'app', clientId: `${run}-${index}`, clean })
        await inbox.client.subscribeAsync(filters, { qos: 1 })
        clients.push(inbox)
      }
      const publishers = await Promise.all(
        [0, 1, 2].map((at) => connectJs(port(at), { username: 'app', clientId: `${run}-p${at}` })),
      )
      const work = publications.flatMap(({ node: at, topic: to }, n) => {
        const publisher = publishers[at]
        return publisher === undefined ? [] : [publisher.client.publishAsync(to, String(n), { qos: 1 })]
      })
      await Promise.all(work)
      for (const [index, { filters }] of subscribers.entries()) {
        const expected = publications.flatMap(({ topic: to }, n) =>
          filters.some((wanted) => matches(wanted, to)) ? [`${to} ${n} 1`] : [],
        )
        await expect.poll(() => [...(clients[index]?.messages ?? [])].sort()).toEqual(expected.sort())
      }
      // Persistent ones leave nothing for the next run.
      for (const { client } of clients) await client.unsubscribeAsync(['house/#'])
      for (const { client } of [...clients, ...publishers]) await client.endAsync()
    },
  )
  await fc.assert(property, { numRuns: 15 })
})

it('nodes that want nothing get nothing: no telemetry without a subscriber, no command for another node’s device', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const frames: string[] = []
  await nodes.link.listen(nodeChannel('two'), (frame) => {
    if (/^[MT]/.test(frame.toString('latin1', 0, 1))) frames.push(frame.toString())
  })
  const device = await connectJs(one.port, { username: 'a/1' })
  await device.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  const app = await connectJs(two.port, { username: 'app', clientId: 'watcher' })
  await app.client.subscribeAsync('t/+/+/telemetry', { qos: 0 })
  await app.client.unsubscribeAsync('t/+/+/telemetry')
  await app.client.subscribeAsync('house/#', { qos: 0 })
  await device.client.publishAsync('t/a/1/telemetry', '{"x":1}', { qos: 1 })
  await device.client.publishAsync('t/a/1/status', 'on', { qos: 1 })
  const boss = await connectJs(one.port, { username: 'app', clientId: 'boss' })
  await boss.client.publishAsync('t/a/1/cmd/x', 'go', { qos: 1 })
  await expect.poll(() => device.messages).toEqual(['t/a/1/cmd/x go 1'])
  await boss.client.publishAsync('house/door', 'end', { qos: 1 })
  await expect.poll(() => app.messages).toEqual(['house/door end 0'])
  expect(frames.map((frame) => frame.split('\n').at(-1))).toEqual(['end'])
})

it('a login that ends takes its sessions, their messages and its retained messages along, on every node', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const app = await connectJs(one.port, { username: 'app' })
  const away = await connectJs(one.port, { username: 'a/1', clientId: 'away', clean: false })
  await away.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  await away.client.endAsync()
  const live = await connectJs(two.port, { username: 'a/1', clientId: 'live', clean: false })
  await live.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  await live.client.publishAsync('t/a/1/status', 'on', { qos: 1, retain: true })
  await app.client.publishAsync('t/a/1/cmd/x', 'secret', { qos: 1 })
  const closed = gone(live)
  nodes.registry.devices.delete('a/1')
  nodes.registry.change('a/1', true)
  await closed
  const left = () => nodes.link.run((redis) => redis.keys('sluice:*a/1*'))
  await expect.poll(left).toEqual([])
  const counts = await nodes.link.run((redis) => redis.mget('sluice:retained:count', 'sluice:retained:bytes'))
  expect(counts).toEqual(['0', '0'])
})

it('a clean session ends the persistent one of its id, on another node too', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const first = await connectJs(one.port, { username: 'app', clientId: 'p', clean: false })
  await first.client.subscribeAsync('house/#', { qos: 1 })
  await first.client.endAsync()
  const boss = await connectJs(one.port, { username: 'app', clientId: 'boss' })
  await boss.client.publishAsync('house/door', 'kept', { qos: 1 })
  const clean = await connectJs(two.port, { username: 'app', clientId: 'p', clean: true })
  await clean.client.endAsync()
  const again = await connectJs(one.port, { username: 'app', clientId: 'p', clean: false })
  await again.client.subscribeAsync('other', { qos: 1 })
  await boss.client.publishAsync('house/door', 'new', { qos: 1 })
  await boss.client.publishAsync('other', 'end', { qos: 1 })
  await expect.poll(() => again.messages).toEqual(['other end 1'])
})

it('a node that has not heard of a stored subscription yet stores for it all the same', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const options = { clientId: 'p', clean: false }
  const away = await connectJs(two.port, { username: 'app', ...options })
  await away.client.subscribeAsync('house/#', { qos: 1 })
  await away.client.endAsync()
  const boss = await connectJs(one.port, { username: 'app', clientId: 'boss' })
  await boss.client.publishAsync('house/door', 'kept', { qos: 1 })
  const again = await connectJs(two.port, { username: 'app', ...options })
  await expect.poll(() => again.messages).toEqual(['house/door kept 1'])
})

it('nodes are listed with their load, and one that leaves is listed no more', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  await connectJs(two.port, { username: 'a/1' })
  const shown = async () =>
    (await listNodes(nodes.link)).map(({ id, address, clients }) => `${id} ${address.port} ${clients}`)
  await expect.poll(shown).toEqual([`one ${one.port} 0`, `two ${two.port} 1`])
  await two.close()
  expect(await shown()).toEqual([`one ${one.port} 0`])
  await expect(nodes.start('one').then(({ id }) => id)).rejects.toThrow('another process runs as node "one"')
})
