import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import type { DeviceCommand } from '../../../shared/commands.ts'
import { startBroker, type Harness } from '../../broker-harness.ts'

function command(changes: Partial<DeviceCommand> = {}): DeviceCommand {
  const payload = Buffer.from('{"open":true}')
  return { tenant: 'a', device: '1', name: 'valve/1', payload, qos: 1, expiresMs: undefined, ...changes }
}

async function connect(
  { port }: Harness,
  options: IClientOptions = {},
): Promise<{ client: MqttClient; got: string[] }> {
  const login = { port, host: '127.0.0.1', username: 'a/1', password: 's', clientId: 'c', reconnectPeriod: 0 }
  const got: string[] = []
  // From the beginning: a session brings what waited for it with its CONNACK.
  const client = await connectAsync({ ...login, ...options, manualConnect: false })
  onTestFinished(() => void client.end(true))
  client.on('message', (topic, payload) => got.push(`${topic} ${payload.toString()}`))
  return { client, got }
}

/** What a client of a persistent session that comes back is given. */
async function comeBack(harness: Harness): Promise<string[]> {
  const { client, got } = await connect(harness, { clean: false })
  await client.subscribeAsync('t/a/1/notice')
  await client.endAsync()
  return got
}

it('is delivered to a device that is there and subscribed', async () => {
  const harness = await startBroker()
  const { client, got } = await connect(harness)
  expect(await harness.broker.nodes.send(command())).toBe('no_session')
  await client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  const arrived = new Promise((resolve) => client.once('message', resolve))
  expect(await harness.broker.nodes.send(command())).toBe('delivered')
  await arrived
  expect(got).toEqual(['t/a/1/cmd/valve/1 {"open":true}'])
  expect(await harness.broker.nodes.send(command({ device: '2' }))).toBe('no_session')
})

it('waits for a persistent session, unless it is QoS 0 or expires', async () => {
  const harness = await startBroker()
  const { client } = await connect(harness, { clean: false })
  await client.subscribeAsync('t/a/1/cmd/+', { qos: 1 })
  await client.endAsync()
  expect(await harness.broker.nodes.send(command({ name: 'kept' }))).toBe('queued')
  expect(await harness.broker.nodes.send(command({ name: 'gone', expiresMs: Date.now() - 1 }))).toBe('queued')
  expect(await harness.broker.nodes.send(command({ name: 'lost', qos: 0 }))).toBe('no_session')
  expect(await harness.broker.nodes.send(command({ name: 'two/levels' }))).toBe('no_session')
  expect(await comeBack(harness)).toEqual(['t/a/1/cmd/kept {"open":true}'])
})

it('tells of the node itself', async () => {
  const harness = await startBroker()
  await connect(harness)
  expect(await harness.broker.nodes.list()).toMatchObject([
    { id: 'standalone', clients: 1, inFlight: 0, address: { host: '127.0.0.1', port: harness.port } },
  ])
})
