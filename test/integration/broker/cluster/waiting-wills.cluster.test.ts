import { describe, expect, it } from 'vitest'
import { CLAIM, END_DUE, FORGET, REAP, RELEASE } from '../../../../services/broker/cluster/scripts.ts'
import { DUE_WILLS, POSTPONE, WILL, WILL_DONE } from '../../../../services/broker/cluster/will-delay-scripts.ts'
import { startLineProcess } from '../../../line-process.ts'
import { APP, logIn5, type PacketClient } from '../../../mqtt/packet-client.ts'
import { packet5 } from '../../../mqtt/packets.ts'
import { silenceRedis, startNodes, type Nodes } from './nodes.ts'

const TOPIC = 't/a/1/status'

/** A client whose will says its id, and waits so many seconds. */
function mourned(clientId: string, delay: number, { clean = true, expiry = 60, lives = 3600 } = {}) {
  const properties = { willDelayInterval: delay, messageExpiryInterval: lives }
  const will = { topic: TOPIC, payload: clientId, qos: 1, properties }
  return { clientId, clean, will, properties: { sessionExpiryInterval: expiry } }
}

async function listen(port: number): Promise<() => Promise<string[]>> {
  const app = await logIn5(port, { ...APP, clientId: 'app' }, packet5.subscribe(1, [TOPIC, 1]))
  await app.packetsUpTo(2)
  return async () => {
    // What was published before this has come before it.
    app.send(packet5.publish(TOPIC, 'mark', { qos: 1, id: 9 }))
    await app.until(() => app.texts.some((text) => text.includes('mark')))
    const all = app.texts
    app.packets.splice(0)
    return all.flatMap((text) => /^publish \S+ (\S+)/.exec(text)?.[1] ?? []).filter((text) => text !== 'mark')
  }
}

/** All of these come, each once, and nothing else. */
async function expectOnly(heard: () => Promise<string[]>, ...wanted: string[]): Promise<void> {
  const all: string[] = []
  const next = async () => (await heard()).forEach((one) => all.push(one))
  await expect.poll(() => next().then(() => all)).toEqual(expect.arrayContaining(wanted))
  await next()
  expect(all.toSorted()).toEqual(wanted.toSorted())
}

const vanish = (client: PacketClient) => void client.socket.destroy()
const waiting = ({ link }: Nodes) => link.run((redis) => redis.zrange('sluice:wills', '0', '-1'))
const wills = ({ link }: Nodes) => link.run((redis) => redis.keys('sluice:will:*'))

describe('the will of a client that is gone', () => {
  it('comes from another node when its own is killed: once, and not when the client is back', async () => {
    const nodes = await startNodes()
    const one = startLineProcess([process.execPath, 'load-tests/brokers/broker-node.ts', nodes.redis.url, 'one'])
    const port = Number((await one.next(/^ready /)).split(' ')[1])
    const [two, three] = [await nodes.start('two'), await nodes.start('three')]
    const heard = await listen(two.port)
    for (const clientId of ['left', 'back']) vanish(await logIn5(port, mourned(clientId, 2)))
    await expect.poll(() => waiting(nodes)).toEqual(['a/1/left', 'a/1/back'])
    await logIn5(port, mourned('there', 1))
    await logIn5(port, mourned('now', 0))
    await one.kill()
    await logIn5(three.port, mourned('back', 2, { clean: false }))
    await expectOnly(heard, 'left', 'there', 'now')
    await expect.poll(() => waiting(nodes)).toEqual([])
    expect(await wills(nodes)).toEqual(['sluice:will:a/1/back'])
  })

  it('waits on when its node is stopped, and lives from when it is published', async () => {
    const nodes = await startNodes()
    const [one, two] = [await nodes.start('one'), await nodes.start('two')]
    const app = await logIn5(two.port, { ...APP, clientId: 'app' }, packet5.subscribe(1, [TOPIC, 1]))
    vanish(await logIn5(one.port, mourned('left', 3, { lives: 2 })))
    await expect.poll(() => waiting(nodes)).toEqual(['a/1/left'])
    await one.close()
    const text = `publish ${TOPIC} left q1`
    await app.until(() => app.texts.includes(text))
    expect(app.messages.map(({ properties }) => properties)).toEqual([{ messageExpiryInterval: 2 }])
  })

  it('waits on when Redis was away at the end of the connection', async () => {
    const nodes = await startNodes()
    const one = await nodes.start('one')
    const heard = await listen(one.port)
    const clients = [await logIn5(one.port, mourned('left', 1)), await logIn5(one.port, mourned('back', 1))]
    const goOn = await silenceRedis(nodes, one)
    clients.forEach(vanish)
    await expect.poll(() => one.metric('sluice_broker_connections')).toBe(1)
    goOn()
    await expect.poll(() => greeting(one.port, 'back')).toBe('connack 1 0x0')
    await expectOnly(heard, 'left')
  })

  it('lives from the end of its connection when it was due then, though Redis was away', async () => {
    const nodes = await startNodes()
    const one = await nodes.start('one')
    const app = await logIn5(one.port, { ...APP, clientId: 'app' }, packet5.subscribe(1, [TOPIC, 1]))
    const client = await logIn5(one.port, mourned('now', 0, { lives: 100 }))
    const goOn = await silenceRedis(nodes, one)
    vanish(client)
    await expect.poll(() => one.metric('sluice_broker_connections')).toBe(1)
    goOn()
    const text = `publish ${TOPIC} now q1`
    await app.until(() => app.texts.includes(text))
    const properties = app.messages[0]?.properties
    expect(Object.keys(properties ?? {})).toEqual(['messageExpiryInterval'])
    expect(properties?.messageExpiryInterval).toBeLessThanOrEqual(100)
  })

  it('on a telemetry topic waits for a log that stands still, keeps no node from its work, and is stored once', async () => {
    const nodes = await startNodes()
    const all = [await nodes.start('one'), await nodes.start('two'), await nodes.start('three')] as const
    for (const { log } of all) log.stall()
    const left = mourned('left', 1)
    vanish(await logIn5(all[0].port, { ...left, will: { ...left.will, topic: 't/a/1/telemetry' } }))
    await all[0].close()
    const appends = () => all.reduce((sum, { log }) => sum + log.appends, 0)
    await expect.poll(appends).toBe(1)
    // Longer than a node may be silent, and longer than a will is kept from others.
    const until = async () => {
      const kept = await nodes.link.run((redis) =>
        Promise.all([redis.zscore('sluice:wills', 'a/1/left'), redis.time()]),
      )
      const [score, [seconds, micros]] = kept
      return { score: Number(score), leftMs: Number(score) - Number(seconds) * 1000 - Number(micros) / 1000 }
    }
    const first = await until()
    let leastMs = first.leftMs
    const passed = async () => {
      const { score, leftMs } = await until()
      leastMs = Math.min(leastMs, leftMs)
      return score - first.score
    }
    await expect.poll(passed, { timeout: 40_000 }).toBeGreaterThan(12_000)
    expect(leastMs).toBeGreaterThan(0)
    const leases = await nodes.link.run((redis) => redis.exists('sluice:lease:two', 'sluice:lease:three'))
    expect([leases, appends()]).toEqual([2, 1])
    for (const { log } of all) log.resume()
    await expect.poll(() => wills(nodes)).toEqual([])
    expect(all.flatMap(({ log }) => log.records).map(({ value }) => Buffer.from(value).toString())).toEqual(['left'])
  })

  it('takes nothing from the will of the next connection', async () => {
    const nodes = await startNodes()
    const one = await nodes.start('one')
    vanish(await logIn5(one.port, mourned('c', 1)))
    await expect.poll(() => waiting(nodes)).toEqual(['a/1/c'])
    await logIn5(one.port, mourned('c', 1, { clean: false }))
    const heard = await listen(one.port)
    vanish(await logIn5(one.port, mourned('other', 1)))
    // That one was due later than the first.
    await expectOnly(heard, 'other')
    expect(await wills(nodes)).toEqual(['sluice:will:a/1/c'])
  })
})

describe('in Redis', () => {
  async function setUp() {
    const nodes = await startNodes()
    const { link } = nodes
    const claim = async (id: string, kind = 'p60', node = 'one'): Promise<string> => {
      const [epoch] = (await link.eval(CLAIM, 'app', id, kind, node, '1', 100, '0')) as [number] // that is its answer
      await link.eval(WILL, 'app', id, String(epoch), `will of ${node}`, 7)
      return String(epoch)
    }
    const postpone = (id: string, epoch: string, ms = 0) => link.eval(POSTPONE, 'app', id, epoch, ms, 'will')
    const due = (forMs = 60_000) => link.eval(DUE_WILLS, 100, forMs)
    return { link, claim, postpone, due, waiting: () => waiting(nodes), wills: () => wills(nodes) }
  }

  it('several nodes that ask at once take each will once; what nobody published in time is due again', async () => {
    const { claim, postpone, due, link } = await setUp()
    for (const id of ['app//1', 'app//2']) await postpone(id, await claim(id))
    await postpone('app//later', await claim('app//later'), 60_000)
    const taken = await Promise.all([due(), due(), due()])
    expect(taken).toEqual([['app//1', 'app//2'], [], []])
    await link.eval(WILL_DONE, 'app//1', '1')
    await link.run((redis) => redis.zadd('sluice:wills', 1, 'app//2'))
    expect(await due()).toEqual(['app//2'])
  })

  it('it is no will any more when the client is back, here or on another node, or has been', async () => {
    const { claim, postpone, link, waiting, wills } = await setUp()
    const first = await claim('app//p')
    expect(await postpone('app//p', first)).toBe(1)
    const second = await claim('app//p', 'p60', 'two')
    expect(await waiting()).toEqual([])
    expect(await postpone('app//p', first)).toBe(0)
    await link.eval(RELEASE, 'app', 'app//p', second, 'two', 60)
    expect(await postpone('app//p', first)).toBe(0)
    // Of a connection that began while Redis was away.
    expect(await postpone('app//p', '')).toBe(1)
    await claim('app//p', 'p60', 'two')
    expect(await postpone('app//p', '')).toBe(0)
    await link.eval(WILL_DONE, 'app//p', first)
    expect(await wills()).toEqual(['sluice:will:app//p'])
  })

  it('is due with its session at the latest, and waits from the death of its node', async () => {
    const { claim, postpone, due, link } = await setUp()
    const epoch = await claim('app//ends')
    await postpone('app//ends', epoch, 60_000)
    await link.eval(RELEASE, 'app', 'app//ends', epoch, 'one', 60)
    await link.run((redis) => redis.zadd('sluice:ends', 1, 'app//ends'))
    expect(await due()).toEqual([])
    await link.eval(END_DUE, 100)
    expect(await due()).toEqual(['app//ends'])
    await claim('app//dead')
    await link.eval(REAP, 'app', 'app//dead', 'one')
    const [at, now] = await link.run((redis) => Promise.all([redis.zscore('sluice:wills', 'app//dead'), redis.time()]))
    expect(Math.abs(Number(at) - Number(now[0]) * 1000 - 7_000)).toBeLessThan(3_000)
  })

  it('goes with its login', async () => {
    const { claim, postpone, link, waiting, wills } = await setUp()
    const epoch = await claim('app//p')
    await link.eval(RELEASE, 'app', 'app//p', epoch, 'one', 60)
    await postpone('app//p', epoch, 60_000)
    await link.eval(FORGET, 'app')
    expect([await waiting(), await wills()]).toEqual([[], []])
  })
})

async function greeting(port: number, clientId: string): Promise<string> {
  const client = await logIn5(port, mourned(clientId, 1, { clean: false }))
  return client.texts[0] ?? ''
}
