import { expect, it, onTestFinished, vi } from 'vitest'
import { openBrokerNodes } from '../../../../shared/mesh/broker-nodes.ts'
import { createMetrics } from '../../../../shared/process/metrics.ts'
import type { PresenceRecord } from '../../../../shared/registry/presence-port.ts'
import { quiet } from '../../../broker-harness.ts'
import { connectJs } from '../../../mqtt/mqtt-js.ts'
import { startNodes, type Nodes } from './nodes.ts'
import { PATIENCE } from '../../../patience.ts'

const command = {
  ...{ tenant: 'a', device: '1', name: 'go', qos: 1 as const, expiresMs: undefined },
  payload: Buffer.from([0, 1, 0x0a, 255]),
}

async function openApiSide({ redis }: Nodes) {
  const nodes = await openBrokerNodes({ url: redis.url, logger: quiet, metrics: createMetrics({ defaults: false }) })
  onTestFinished(() => nodes.close())
  return nodes
}

it('commands find the device on whatever node it is, or its session', async () => {
  const cluster = await startNodes()
  const [one, two] = [await cluster.start('n1'), await cluster.start('n2')]
  const api = await openApiSide(cluster)
  expect((await api.list()).map(({ id }) => id)).toEqual(['n1', 'n2'])
  expect(await api.send(command)).toBe('no_session')

  const { client } = await connectJs(two.port, { username: 'a/1', clientId: 'c', clean: false })
  await client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  const arrived = new Promise<Buffer>((resolve) => client.once('message', (_topic, payload) => resolve(payload)))
  expect(await api.send(command)).toBe('delivered')
  expect(await arrived).toEqual(command.payload)

  await client.endAsync()
  await vi.waitFor(async () => expect(await api.send({ ...command, qos: 0 })).toBe('no_session'), PATIENCE)
  expect(await api.send(command)).toBe('queued')
  const back = await connectJs(one.port, { username: 'a/1', clientId: 'c', clean: false })
  await vi.waitFor(() => expect(back.messages).toHaveLength(1), PATIENCE)
})

it('when a session was heard is known of every node, and of none that is gone', async () => {
  const cluster = await startNodes()
  const [one, two] = [await cluster.start('n1'), await cluster.start('n2')]
  const api = await openApiSide(cluster)
  const before = Date.now()
  const first = await connectJs(one.port, { username: 'a/1', clientId: 'c', keepalive: 1 })
  await connectJs(two.port, { username: 'a/2', clientId: 'c' })
  const sessions = ['n1', 'n2', 'n3', 'n2'].map((node, index) => {
    return { tenant: 'a', device: String(index + 1), clientId: 'c', node }
  })
  const heard = await api.heard(sessions)
  expect(heard.map((ms) => ms !== null && ms > before - 2_000)).toEqual([true, true, false, false])
  // It sends nothing but PINGREQ.
  const ofFirst = async (): Promise<number> => (await api.heard(sessions.slice(0, 1)))[0] ?? 0
  await vi.waitFor(async () => expect(await ofFirst()).toBeGreaterThan((heard[0] ?? 0) + 2_000), PATIENCE)
  await first.client.endAsync()
  await vi.waitFor(async () => expect(await ofFirst()).toBe(0), PATIENCE)
  expect(await api.heard([])).toEqual([])
})

it('a device is written as connected to the node that took it over', async () => {
  const cluster = await startNodes()
  const rows: PresenceRecord[] = []
  cluster.registry.presence.record = async (changes) => void rows.push(...changes)
  const [one, two] = [await cluster.start('n1'), await cluster.start('n2')]
  await connectJs(one.port, { username: 'a/1', clientId: 'c' })
  await vi.waitFor(() => expect(rows).toMatchObject([{ node: 'n1', connected: true }]), PATIENCE)
  await connectJs(two.port, { username: 'a/1', clientId: 'c' })
  await vi.waitFor(() => expect(rows).toHaveLength(3), PATIENCE)
  const newest = rows.toSorted((a, b) => a.epoch - b.epoch).at(-1)
  expect(newest).toMatchObject({ node: 'n2', connected: true })
  expect(rows.find(({ connected }) => !connected)).toMatchObject({ node: 'n1', reason: 'takeover' })
})
