import { expect, it } from 'vitest'
import { RECORD } from '../../../../services/broker/cluster/scripts.ts'
import { startLineProcess } from '../../../line-process.ts'
import { logIn, type PacketClient } from '../../../mqtt/packet-client.ts'
import { packet } from '../../../mqtt/packets.ts'
import { silenceRedis, startNodes, type Nodes } from './nodes.ts'

const KEPT = { clean: false } as const
const PATIENCE = { timeout: 30_000, interval: 50 }

const pulse = (id: number, qos: 1 | 2 = 2, dup = false) =>
  packet.publish('t/a/1/telemetry', '{"pulse":1}', { qos, id, dup })

/** Sends packets and returns what comes for them, after what came before. */
async function ask(client: PacketClient, answers: number, ...packets: Buffer[]): Promise<string[]> {
  const before = client.packets.length
  client.send(...packets)
  return (await client.packetsUpTo(before + answers)).slice(before)
}

/** Ids that are written down for the session of `a/1`. */
const ids = ({ link }: Nodes) => link.run((redis) => redis.hkeys('sluice:in-log:a/1/c'))

it('a message of QoS 2 that comes again on another node is stored once, until it is released', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const first = await logIn(one.port, KEPT)
  expect(await ask(first, 2, pulse(5), pulse(6))).toEqual(['pubrec 5', 'pubrec 6'])
  expect((await ids(nodes)).toSorted()).toEqual(['5', '6'])
  // The first connection is still there, as for a node that has not noticed.
  const second = await logIn(two.port, KEPT)
  expect(await ask(second, 2, pulse(5, 2, true), packet.pubrel(5))).toEqual(['pubrec 5', 'pubcomp 5'])
  expect(await ids(nodes)).toEqual(['6'])
  const third = await logIn(one.port, KEPT)
  expect(await ask(third, 2, packet.pubrel(6), packet.pubrel(5))).toEqual(
    expect.arrayContaining(['pubcomp 6', 'pubcomp 5']),
  )
  expect([one.log.records.length, two.log.records.length]).toEqual([2, 0])
  // Both ids are those of new messages now, and one that is sent twice is no message that was released.
  expect(await ask(third, 2, pulse(5), pulse(6, 2, true))).toEqual(['pubrec 5', 'pubrec 6'])
  expect(one.log.records).toHaveLength(4)
})

it('what a node that is killed has answered is known by the others', async () => {
  const nodes = await startNodes()
  const one = startLineProcess([process.execPath, 'load-tests/brokers/broker-node.ts', nodes.redis.url, 'one'])
  const port = Number((await one.next(/^ready /)).split(' ')[1])
  const two = await nodes.start('two')
  await ask(await logIn(port, KEPT), 1, pulse(5))
  await one.kill()
  const next = await logIn(two.port, KEPT)
  expect(await ask(next, 2, pulse(5, 2, true), pulse(6))).toEqual(['pubrec 5', 'pubrec 6'])
  expect(two.log.records).toHaveLength(1)
})

it('a node that has lost the session answers nothing, and changes nothing', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const first = await logIn(one.port, KEPT)
  one.log.stall()
  first.send(pulse(5), packet.pingreq)
  await first.packetsUpTo(2)
  const second = await logIn(two.port, KEPT)
  one.log.resume()
  await expect.poll(() => one.log.records.length).toBe(1)
  expect(await ask(second, 1, pulse(5, 2, true))).toEqual(['pubrec 5'])
  // In doubt a double: the other node cannot know.
  expect(two.log.records).toHaveLength(1)
  expect(first.texts).not.toContain('pubrec 5')

  const [text = ''] = await nodes.link.run((redis) => redis.hvals('sluice:sessions:a/1'))
  const epoch = Number(text.split(' ')[0])
  const record = (own: number) => nodes.link.eval(RECORD, 'a/1/c', 'a/1', String(own), 2, 7, 1, 5, '')
  expect(await record(epoch - 1)).toEqual([0])
  expect(await ids(nodes)).toEqual(['5'])
  expect(await record(epoch)).toEqual([])
  expect(await ids(nodes)).toEqual(['7'])

  // It has not been told yet that its session is another's.
  await nodes.link.run((redis) => redis.hset('sluice:sessions:a/1', 'a/1/c', `${epoch + 1} p elsewhere`))
  second.send(pulse(8))
  await second.closed()
  expect(second.texts).not.toContain('pubrec 8')
  expect(await ids(nodes)).toEqual(['7'])
})

it('a new session on any node begins without the ids and the messages of the old one', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  await ask(await logIn(one.port, KEPT), 2, pulse(5), pulse(6, 1))
  await logIn(two.port, { clean: true })
  expect(await ids(nodes)).toEqual([])
  const next = await logIn(one.port, KEPT)
  await ask(next, 2, pulse(5, 2, true), pulse(6, 1, true))
  expect(new Set(one.log.records.map(({ ms, ns }) => `${ms}.${ns}`)).size).toBe(4)
})

it('QoS 1: only on the node that saw the first copy, and only by the next connection', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const again = async (port: number) => ask(await logIn(port, KEPT), 1, pulse(5, 1, true))
  await ask(await logIn(one.port, KEPT), 1, pulse(5, 1))
  await again(one.port)
  await again(two.port)
  await again(one.port)
  const [first, second, third] = one.log.records.map(({ ms, ns }) => `${ms}.${ns}`)
  expect(second).toBe(first)
  expect(third).not.toBe(first)
})

it('Redis down: PUBREC goes out without, which is counted; PUBCOMP waits for ids that are written down', async () => {
  const nodes = await startNodes()
  const one = await nodes.start('one')
  const client = await logIn(one.port, KEPT)
  await ask(client, 1, pulse(5))
  await nodes.redis.process.stop('SIGKILL')
  await expect.poll(() => one.link.isUp).toBe(false)
  expect(await ask(client, 1, pulse(6))).toEqual(['pubrec 6'])
  expect(await one.metric('sluice_broker_qos2_unrecorded_total')).toBe(1)
  // Of this one nothing is written down.
  expect(await ask(client, 2, packet.pubrel(5), packet.pubrel(6), packet.pingreq)).toEqual(['pubcomp 6', 'pingresp'])
  await nodes.redis.process.start()
  await client.until(() => client.texts.includes('pubcomp 5'))
  await expect.poll(() => ids(nodes).catch(() => 'down'), PATIENCE).toEqual([])
})

it('Redis silent: a PUBREC that waits for it goes out in the end, and nothing else waits', async () => {
  const nodes = await startNodes()
  const one = await nodes.start('one')
  const client = await logIn(one.port, KEPT)
  const clean = await logIn(one.port, { username: 'a/2' })
  await ask(client, 1, pulse(5))
  const noticed = silenceRedis(nodes, one)
  client.send(pulse(6), packet.pingreq)
  expect(await ask(clean, 1, packet.publish('t/a/2/telemetry', '{"x":1}', { qos: 2, id: 1 }))).toEqual(['pubrec 1'])
  await client.until(() => client.texts.includes('pingresp'))
  const goOn = await noticed
  await client.until(() => client.texts.includes('pubrec 6'))
  expect(await one.metric('sluice_broker_qos2_unrecorded_total')).toBe(1)
  goOn()
  client.send(packet.pubrel(5), packet.pubrel(6))
  await client.until(() => client.texts.includes('pubcomp 5') && client.texts.includes('pubcomp 6'))
  // Redis has read what it was sent in its silence.
  await expect.poll(() => ids(nodes).catch(() => 'down'), PATIENCE).toEqual([])
})
