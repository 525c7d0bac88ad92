import { connectAsync, type MqttClient } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { PATIENCE } from '../patience.ts'
import { startServer, type Server } from './server.ts'
import { sluice } from './sluice.ts'

interface Traced {
  readonly receivedAt: string
  readonly payload: string
  readonly decoder: string
  readonly headers: Record<string, string>
  readonly ends: Record<string, number>
  readonly watch?: Record<string, string | number | boolean>
}

async function connect(server: Server, device: string): Promise<MqttClient> {
  const login = JSON.parse(await sluice(server, 'devices', 'add', device, '--json')) as Record<string, string>
  const mqtt = await connectAsync(`mqtt://127.0.0.1:${server.mqttPort}`, {
    username: login['username'] ?? '',
    password: login['secret'] ?? '',
    reconnectPeriod: 0,
  })
  onTestFinished(() => mqtt.endAsync(true))
  return mqtt
}

/** When so many messages are stored. */
async function traceOf(server: Server, device: string, count: number): Promise<readonly Traced[]> {
  return vi.waitFor(async () => {
    const headers = { authorization: `Bearer ${server.token}` }
    const answer = await fetch(`${server.url}/v1/devices/${device}/trace`, { headers })
    const { messages } = (await answer.json()) as { messages: readonly Traced[] }
    expect(messages.map(({ ends }) => ends)).toEqual(Array(count).fill({ stored: 1 }))
    return messages
  }, PATIENCE)
}

it('messages of a device under watch, and no others, say how they came and when they passed each stage', async () => {
  const server = await startServer()
  const [seen, other] = [await connect(server, 'demo/seen'), await connect(server, 'demo/other')]
  const publish = async (value: number, options: { qos?: 0 | 1 | 2; dup?: boolean } = {}) => {
    await other.publishAsync('t/demo/other/telemetry', `{"a":${value}}`, { qos: 1 })
    await seen.publishAsync('t/demo/seen/telemetry', `{"a":${value}}`, { qos: 1, ...options })
  }
  await publish(1)
  await traceOf(server, 'demo/seen', 1)
  expect(await sluice(server, 'trace', 'demo/seen', '--watch', '5m')).toContain('auto: json: 1 stored')
  await publish(2)
  await publish(3, { qos: 2, dup: true })
  // What is stored can be seen a little before the worker has noted when.
  const messages = await vi.waitFor(async () => {
    const all = await traceOf(server, 'demo/seen', 3)
    expect(all.map(({ watch }) => watch?.['stored'] !== undefined)).toEqual([false, true, true])
    return all
  }, PATIENCE)
  expect(messages.map(({ watch }) => watch?.['qos'])).toEqual([undefined, 1, 2])
  expect(messages[2]).toMatchObject({ decoder: 'auto: json', watch: { node: 'standalone', qos: 2, dup: true } })
  for (const { receivedAt, watch, headers } of messages.slice(1)) {
    const stages = [receivedAt, ...['appending', 'read', 'decoded', 'stored'].map((stage) => String(watch?.[stage]))]
    const times = stages.map((at) => Math.floor(Date.parse(at)))
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(headers).not.toHaveProperty('watch')
  }
  expect((await traceOf(server, 'demo/other', 3)).filter(({ watch }) => watch !== undefined)).toEqual([])
  const told =
    /taken by standalone with QoS 2, DUP, appending \+\d+ ms, read \+\d+ ms, decoded \+\d+ ms, stored \+\d+ ms/
  expect(await sluice(server, 'trace', 'demo/seen')).toMatch(told)
  expect(await sluice(server, 'audit')).toMatch(/device\.watch +demo\/seen +until /)
  await sluice(server, 'trace', 'demo/seen', '--watch', '1ms')
  const headers = { authorization: `Bearer ${server.token}` }
  await vi.waitFor(async () => {
    const answer = await fetch(`${server.url}/v1/watches`, { headers })
    expect(await answer.json()).toEqual({ watches: [] })
  }, PATIENCE)
  await publish(4)
  expect((await traceOf(server, 'demo/seen', 4)).at(-1)?.watch).toBeUndefined()
})
