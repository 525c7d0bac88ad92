import { describe, expect, it, onTestFinished } from 'vitest'
import { startRedis } from '../../../../load-tests/servers/redis.ts'
import { RedisLink } from '../../../../shared/mesh/redis-link.ts'
import { tempFolder } from '../../../helpers.ts'
import { startLineProcess } from '../../../line-process.ts'
import { connectJs, gone, type Inbox } from '../../../mqtt/mqtt-js.ts'
import { EachNodeLink } from '../../../variants/each-node-shares.ts'
import { silenceRedis, startNodes } from './nodes.ts'

const MESSAGES = 2_000
const SHARE = '$share/g/house/#'
/** A node is taken for dead after nine seconds of silence. */
const PATIENCE = { timeout: 60_000, interval: 100 }

async function join(port: number, clientId: string, protocolVersion: 4 | 5 = 4, share = SHARE): Promise<Inbox> {
  const member = await connectJs(port, { username: 'app', clientId, protocolVersion })
  await member.client.subscribeAsync(share, { qos: 1 })
  return member
}

/** Of a SUBACK in which something was refused. */
const codesOf = (error: { readonly packet?: { readonly granted?: readonly number[] } }) => [
  ...(error.packet?.granted ?? []),
]

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
const numbers = ({ messages }: Inbox): number[] => messages.map((line) => Number(line.split(' ')[1]))
const all = (members: readonly Inbox[]): number[] => members.flatMap(numbers).toSorted((a, b) => a - b)

/** Two nodes, two members on each, and a publisher on each. */
async function share(Link: typeof RedisLink, qos: 0 | 1 | 2, topicOf: (n: number) => string, group = SHARE) {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one', {}, Link), await nodes.start('two', {}, Link)]
  const members: Inbox[] = []
  for (const [index, { port }] of [one, one, two, two].entries()) {
    members.push(await join(port, `m${index}`, index % 2 === 0 ? 4 : 5, group))
  }
  const ofOne = await connectJs(one.port, { username: 'app' })
  const ofTwo = await connectJs(two.port, { username: 'app' })
  const publish = (n: number) => (n % 2 === 0 ? ofOne : ofTwo).client.publishAsync(topicOf(n), String(n), { qos })
  await Promise.all(upTo(MESSAGES).map(publish))
  return members
}

describe('a group whose members are on two nodes', () => {
  it.each([0, 1, 2] as const)('gets each of 2,000 messages at QoS %i exactly once, evenly', async (qos) => {
    const members = await share(RedisLink, qos, (n) => `house/${n % 9}`)
    await expect.poll(() => all(members), PATIENCE).toEqual(upTo(MESSAGES))
    for (const { messages } of members) expect(Math.abs(messages.length - 500)).toBeLessThan(100)
  })

  it('gets telemetry exactly once, whichever node it came to', async () => {
    const members = await share(RedisLink, 1, (n) => `t/a/${1 + (n % 9)}/telemetry`, '$share/g/t/#')
    await expect.poll(() => all(members), PATIENCE).toEqual(upTo(MESSAGES))
    for (const { messages } of members) expect(Math.abs(messages.length - 500)).toBeLessThan(100)
  })

  it('known wrong: where each node shares out by itself, messages come twice', async () => {
    const members = await share(EachNodeLink, 1, () => 'house/door')
    await expect.poll(() => all(members).length, PATIENCE).toBe(2 * MESSAGES)
  })

  it('may be made once every live node knows of groups: until then all are told that there are none', async () => {
    const nodes = await startNodes()
    // A node of a version before says nothing of what it reads.
    const beat = { id: 'old', address: { host: '127.0.0.1', port: 1 }, clients: 0, inFlight: 0, sinceMs: 0 }
    const old = setInterval(() => void sayAlive(), 1_000)
    const sayAlive = () => nodes.link.run((redis) => redis.set('sluice:lease:old', JSON.stringify(beat), 'PX', 6_000))
    onTestFinished(() => clearInterval(old))
    await sayAlive()
    await nodes.link.run((redis) => redis.sadd('sluice:nodes', 'old'))
    const { port } = await nodes.start('one')
    const granted = async (protocolVersion: 4 | 5): Promise<unknown> => {
      const { client } = await connectJs(port, { username: 'app', protocolVersion })
      const shares = await client.subscribeAsync({ [SHARE]: { qos: 1 }, 'house/#': { qos: 1 } }).catch(codesOf)
      return Array.isArray(shares) ? shares.map((one) => (typeof one === 'number' ? one : one.qos)) : shares
    }
    expect(await granted(4)).toEqual([128, 1])
    expect(await granted(5)).toEqual([0x9e, 1])
    clearInterval(old)
    await nodes.link.run((redis) => redis.del('sluice:lease:old'))
    await expect.poll(() => granted(5), PATIENCE).toEqual([1, 1])
    expect(await granted(4)).toEqual([1, 1])
  })

  it('ends with its last member, on whatever node, and nodes know of members that come and go', async () => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const member = await join(one.port, 'm')
    await expect.poll(() => two.metric('sluice_broker_shared_members')).toBe(1)
    const publisher = await connectJs(two.port, { username: 'app' })
    await member.client.unsubscribeAsync(SHARE)
    await expect.poll(() => two.metric('sluice_broker_shared_groups')).toBe(0)
    for (const qos of [0, 1] as const) await publisher.client.publishAsync('house/door', String(qos), { qos })
    expect(await nodes.link.run((redis) => redis.keys('sluice:group*'))).toEqual([])
    const other = await join(two.port, 'other')
    await publisher.client.publishAsync('house/door', '2', { qos: 1 })
    await expect.poll(() => numbers(other)).toEqual([2])
    expect(member.messages).toEqual([])
    await other.client.endAsync()
    await expect.poll(() => nodes.link.run((redis) => redis.keys('sluice:*:app//other'))).toEqual([])
  })
})

it('a Redis that comes back with nothing: members get what is published from then on', async () => {
  const nodes = await startNodes()
  const one = await nodes.start('one')
  const members = [await join(one.port, 'm0'), await join(one.port, 'm1', 5)]
  await nodes.link.run((redis) => redis.flushall())
  const goOn = await silenceRedis(nodes, one)
  goOn()
  await expect.poll(() => one.link.isUp, PATIENCE).toBe(true)
  await expect.poll(() => nodes.link.run((redis) => redis.hlen(`sluice:group:${SHARE}`)), PATIENCE).toBe(2)
  const publisher = await connectJs(one.port, { username: 'app' })
  for (const n of upTo(4)) await publisher.client.publishAsync('house/x', String(n), { qos: 1 })
  await expect.poll(() => all(members), PATIENCE).toEqual(upTo(4))
})

it('members leave and nodes are killed: each of 2,000 messages reaches at least one member', async () => {
  const redis = await startRedis(tempFolder(), 'sessions')
  onTestFinished(() => redis.stop())
  const startNode = async (id: string) => {
    const node = startLineProcess([process.execPath, 'load-tests/brokers/broker-node.ts', redis.url, id])
    return { ...node, port: Number((await node.next(/^ready /)).split(' ')[1]) }
  }
  const [one, two] = await Promise.all([startNode('one'), startNode('two')])
  const members = [await join(one.port, 'm0'), await join(one.port, 'm1', 5), await join(two.port, 'm2')]
  const leaves = await join(two.port, 'm3', 5)
  members.push(leaves)
  let publisher = await connectJs(two.port, { username: 'app' })
  for (let n = 0; n < MESSAGES; n += 20) {
    if (n === 300) leaves.client.stream.destroy()
    if (n === 700) await one.kill()
    if (n === 1_000) members.push(await join(two.port, 'm4'))
    if (n === 1_400) {
      const three = await startNode('three')
      members.push(await join(three.port, 'm5', 5))
      publisher = await connectJs(three.port, { username: 'app' })
      const left = gone(members[2] ?? leaves)
      await two.kill()
      await left
    }
    const batch = upTo(20).map((index) => publisher.client.publishAsync('house/x', String(n + index), { qos: 1 }))
    await Promise.all(batch)
  }
  await expect.poll(() => [...new Set(all(members))], PATIENCE).toEqual(upTo(MESSAGES))
})
