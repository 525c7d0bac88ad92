import { expect, it } from 'vitest'
import { PacketClient } from '../mqtt/packet-client.ts'
import { packet } from '../mqtt/packets.ts'
import { startServer, type Server } from './server.ts'

const TOPIC = 't/demo/meter/telemetry'
const PULSE = '{"pulse":1}'

async function call<T>(server: Server, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${server.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return (await response.json()) as T
}

async function newMeter(server: Server): Promise<string> {
  return (await call<{ secret: string }>(server, '/v1/devices', { tenant: 'demo', device: 'meter' })).secret
}

/** Its session outlives the connection. */
async function connect(server: Server, secret: string): Promise<PacketClient> {
  const client = new PacketClient(server.mqttPort)
  await client.connect({ username: 'demo/meter', password: Buffer.from(secret), clean: false })
  return client
}

/** Sends a packet and waits for its answer. */
async function ask(client: PacketClient, sent: Buffer, answer: string): Promise<void> {
  const before = client.packets.length
  client.send(sent)
  expect((await client.packetsUpTo(before + 1)).slice(before)).toEqual([answer])
}

const pulse = (id: number, dup = false) => packet.publish(TOPIC, PULSE, { qos: 2, id, dup })

it.each(['SIGKILL', 'SIGTERM'] as const)('QoS 2 in a session that goes on after %s is stored once', async (signal) => {
  const first = await startServer()
  const secret = await newMeter(first)
  const client = await connect(first, secret)
  for (const id of [5, 6]) await ask(client, pulse(id), `pubrec ${id}`)
  await ask(client, packet.pubrel(6), 'pubcomp 6')
  await first.kill(signal)

  const second = await startServer({ folder: first.folder })
  const again = await connect(second, secret)
  await ask(again, pulse(5, true), 'pubrec 5')
  await ask(again, packet.pubrel(5), 'pubcomp 5')
  // Nothing of a new message has arrived before, and yet it is none of those that were released.
  await ask(again, pulse(6, true), 'pubrec 6')
  const stored = async (): Promise<number> => {
    const { series } = await call<{ series: { points: unknown[] }[] }>(second, '/v1/devices/demo/meter/readings')
    return series.reduce((sum, { points }) => sum + points.length, 0)
  }
  await expect.poll(stored).toBe(3)
})
