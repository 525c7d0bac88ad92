import { describe, expect, it } from 'vitest'
import { principalOf } from '../../../../shared/sessions/client-id.ts'
import { CLAIM, END_DUE, FORGET, RELEASE, SUBSCRIBE } from '../../../../services/broker/cluster/scripts.ts'
import { startLineProcess } from '../../../line-process.ts'
import { APP, logIn5, type PacketClient } from '../../../mqtt/packet-client.ts'
import { packet5 } from '../../../mqtt/packets.ts'
import { silenceRedis, startNodes, type Nodes } from './nodes.ts'

const lasting = (clientId: string, seconds: number) => {
  return { ...APP, clientId, clean: false, properties: { sessionExpiryInterval: seconds } }
}

/** Its session has a subscription. */
async function subscribed(port: number, clientId: string, seconds: number): Promise<PacketClient> {
  const client = await logIn5(port, lasting(clientId, seconds), packet5.subscribe(1, ['x/#', 1]))
  await client.until(() => client.texts.includes('suback 1 0x1'))
  return client
}

async function leave(client: PacketClient, ...disconnect: Parameters<typeof packet5.disconnect>): Promise<void> {
  client.send(packet5.disconnect(...disconnect))
  await client.closed()
}

async function greeting(port: number, clientId: string, seconds = 60): Promise<string> {
  const client = await logIn5(port, lasting(clientId, seconds))
  return client.texts[0] ?? ''
}

/** What is kept of the sessions of a login. */
async function kept({ link }: Pick<Nodes, 'link'>, login = 'app'): Promise<string[]> {
  const prefix = login.includes('/') ? `${login}/` : `${login}//`
  const [ids, ends, keys] = await link.run((redis) =>
    Promise.all([
      redis.hkeys(`sluice:sessions:${login}`),
      redis.zrange('sluice:ends', '0', '-1'),
      redis.keys(`sluice:*:${prefix}*`),
    ]),
  )
  return [...ids, ...ends, ...keys].toSorted()
}

const PATIENCE = { timeout: 30_000, interval: 50 }

it('a session that went on on another node lasts as long as was said there', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  await leave(await subscribed(one.port, 'roams', 2))
  // When this one has ended, the other one's first time is up as well.
  await leave(await subscribed(one.port, 'marks', 2))
  await leave(await subscribed(two.port, 'roams', 60))
  const app = await logIn5(one.port, APP)
  app.send(packet5.publish('x/1', 'kept', { qos: 1 }))
  await app.packetsUpTo(2)
  const ids = () => nodes.link.run((redis) => redis.hkeys('sluice:sessions:app'))
  await expect.poll(ids, PATIENCE).not.toContain('app//marks')
  const client = await logIn5(one.port, lasting('roams', 60))
  expect(client.texts[0]).toBe('connack 1 0x0')
  await client.packetsUpTo(2)
  expect(client.texts[1]).toBe('publish x/1 kept q1')
})

it('sessions of a node that is killed end all the same: whose client had left, and whose was there', async () => {
  const nodes = await startNodes()
  const one = startLineProcess([process.execPath, 'load-tests/brokers/broker-node.ts', nodes.redis.url, 'one'])
  const port = Number((await one.next(/^ready /)).split(' ')[1])
  const two = await nodes.start('two')
  await leave(await subscribed(port, 'left', 1))
  await subscribed(port, 'stays', 1)
  await leave(await subscribed(two.port, 'forever', 0xffffffff))
  await one.kill()
  await expect.poll(() => kept(nodes), PATIENCE).toEqual(['app//forever', 'sluice:subs:app//forever'])
  for (const clientId of ['left', 'stays']) expect(await greeting(two.port, clientId)).toBe('connack 0 0x0')
})

it('a session whose time is up is present on no node, one that still has time is on each', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const ends = () => nodes.link.run((redis) => redis.zrange('sluice:ends', '0', '-1'))
  for (const { id, port } of [one, two]) {
    for (const clientId of [`early ${id}`, `late ${id}`]) await leave(await subscribed(one.port, clientId, 60))
    await expect.poll(ends).toEqual([`app//early ${id}`, `app//late ${id}`])
    await nodes.link.run((redis) => redis.zadd('sluice:ends', 1, `app//late ${id}`))
    expect(await greeting(port, `late ${id}`)).toBe('connack 0 0x0')
    expect(await greeting(port, `early ${id}`)).toBe('connack 1 0x0')
    expect(await ends()).toEqual([])
  }
})

it('what DISCONNECT says counts, and a client that wants a new session gets one', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const saying = (sessionExpiryInterval: number) => [0, { sessionExpiryInterval }] as const
  await leave(await subscribed(one.port, 'over', 60), ...saying(0))
  await leave(await subscribed(one.port, 'kept', 1), ...saying(0xffffffff))
  await leave(await subscribed(one.port, 'short', 0xffffffff), ...saying(1))
  await leave(await subscribed(one.port, 'short too', 60), ...saying(1))
  await expect.poll(() => kept(nodes), PATIENCE).toEqual(['app//kept', 'sluice:subs:app//kept'])
  const fresh = await logIn5(two.port, { ...lasting('kept', 1), clean: true })
  expect(fresh.texts).toEqual(['connack 0 0x0'])
  await leave(fresh)
  await expect.poll(() => kept(nodes), PATIENCE).toEqual([])
})

it('a session whose client leaves while Redis is silent ends when DISCONNECT said', async () => {
  const nodes = await startNodes()
  const one = await nodes.start('one')
  const client = await subscribed(one.port, 'away', 60)
  const goOn = await silenceRedis(nodes, one)
  await leave(client, 0, { sessionExpiryInterval: 1 })
  await expect.poll(() => one.metric('sluice_broker_cluster_sessions'), PATIENCE).toBe(0)
  goOn()
  await expect.poll(() => kept(nodes).catch(() => 'Redis is away'), PATIENCE).toEqual([])
})

it('a record that was lost is made again with its time', async () => {
  const nodes = await startNodes()
  const one = await nodes.start('one')
  await subscribed(one.port, 'c', 60)
  await nodes.link.run((redis) => redis.del('sluice:sessions:app'))
  await one.link.run((redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'no'))
  const records = () => nodes.link.run((redis) => redis.hvals('sluice:sessions:app')).catch(() => [])
  await expect.poll(records, PATIENCE).toEqual([expect.stringMatching(/^\d+ p60 one$/)])
})

it('a command reaches a device whose session ends some time: here, and when it is back', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const app = await logIn5(two.port, APP)
  const device = { clientId: 'd', clean: false, properties: { sessionExpiryInterval: 60 } }
  const send = async (payload: string) => {
    app.send(packet5.publish('t/a/1/cmd/x', payload, { qos: 1 }))
    await app.until(() => app.packets.length > 1)
    expect(app.texts.slice(1)).toEqual(['puback 1'])
    app.packets.splice(1)
  }
  const first = await logIn5(one.port, device, packet5.subscribe(1, ['t/a/1/cmd/#', 1]))
  await first.packetsUpTo(2)
  await send('live')
  await first.packetsUpTo(3)
  expect(first.texts[2]).toBe('publish t/a/1/cmd/x live q1')
  await leave(first)
  await send('kept')
  const second = await logIn5(two.port, device)
  await second.until(() => second.texts.includes('publish t/a/1/cmd/x kept q1'))
  expect(second.texts[0]).toBe('connack 1 0x0')
})

describe('in Redis', () => {
  async function setUp() {
    const { link } = await startNodes()
    const claim = async (id: string, kind: string, node: string): Promise<string> => {
      const { name } = principalOf(id)
      const [epoch] = (await link.eval(CLAIM, name, id, kind, node, '1', 100, '0')) as [number] // that is its answer
      await link.eval(SUBSCRIBE, name, id, String(epoch), '0', 100, 'x/#', 1)
      return String(epoch)
    }
    const release = (id: string, epoch: string, node: string, seconds: number | '') =>
      link.eval(RELEASE, principalOf(id).name, id, epoch, node, seconds)
    const isDue = (...ids: string[]) => link.run((redis) => redis.zadd('sluice:ends', ...ids.flatMap((id) => [1, id])))
    const ends = () => link.run((redis) => redis.zrange('sluice:ends', '0', '-1'))
    return { link, claim, release, isDue, ends }
  }

  it('a node that is late sets no time for a session that another one took', async () => {
    const { claim, release, ends } = await setUp()
    const first = await claim('app//p', 'p60', 'one')
    const second = await claim('app//p', 'p60', 'two')
    await release('app//p', first, 'one', 1)
    expect(await ends()).toEqual([])
    await release('app//p', second, 'two', 60)
    expect(await ends()).toEqual(['app//p'])
    await release('app//p', first, 'one', '')
    expect(await ends()).toEqual(['app//p'])
  })

  it('what is due ends whole, of every kind of login, for several nodes that ask at once; nothing else does', async () => {
    const { link, claim, release, isDue } = await setUp()
    const due = ['a/1/p', 'app//p', 'a/1/x//y', 'app//x/y//z']
    for (const id of [...due, 'a/1/later', 'app//never']) {
      await release(id, await claim(id, 'p60', 'one'), 'one', id === 'app//never' ? '' : 60)
    }
    // Somebody has it, whatever the list says.
    await claim('app//held', 'p60', 'two')
    await isDue(...due, 'app//held')
    const answers = await Promise.all([3, 3, 3].map((most) => link.eval(END_DUE, most)))
    expect(answers).toEqual([3, 2, 0])
    expect(await kept({ link }, 'a/1')).toEqual(['a/1/later', 'a/1/later', 'sluice:subs:a/1/later'])
    const others = ['app//held', 'app//never', 'sluice:subs:app//held', 'sluice:subs:app//never']
    expect(await kept({ link })).toEqual(['a/1/later', ...others])
  })

  it('sessions that end some time are counted like others', async () => {
    const { link } = await setUp()
    const claim = (id: string) => link.eval(CLAIM, 'app', id, 'p60', 'one', '0', 1, '0')
    expect([await claim('app//p'), await claim('app//q'), await claim('app//p')]).toEqual([
      [1, '', 0, 0],
      [-1, ''],
      [2, 'one', 1, '1', []],
    ])
  })

  it('a login that ends leaves no time behind', async () => {
    const { link, claim, release, ends } = await setUp()
    for (const id of ['a/1/p', 'a/2/p']) await release(id, await claim(id, 'p60', 'one'), 'one', 60)
    await link.eval(FORGET, 'a/1')
    expect(await ends()).toEqual(['a/2/p'])
  })
})
