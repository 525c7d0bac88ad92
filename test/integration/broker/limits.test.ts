import { once } from 'node:events'
import type { IClientOptions, MqttClient } from 'mqtt'
import { describe, expect, it, vi } from 'vitest'
import type { PresenceRecord } from '../../../shared/registry/presence-port.ts'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { logIn } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'
import { PATIENCE } from '../../patience.ts'

const TOPIC = 't/a/1/telemetry'

async function connect({ port }: Harness, options: IClientOptions = {}): Promise<MqttClient> {
  return (await connectJs(port, options)).client
}

/** The next notice with this code that the device gets. */
function notice(client: MqttClient, code: string): Promise<{ code: string; limit: number; since: string }> {
  return new Promise((resolve) => {
    client.on('message', (_topic, payload) => {
      const told = JSON.parse(payload.toString()) as Awaited<ReturnType<typeof notice>>
      if (told.code === code) resolve(told)
    })
  })
}

describe('a rate', () => {
  it('slows the reading of a socket, loses nothing, and is told', async () => {
    const harness = await startBroker({ DEVICE_MESSAGES_PER_SECOND: 200, RATE_BURST_SECONDS: 1 })
    const client = await connect(harness)
    await client.subscribeAsync('t/a/1/notice', { qos: 0 })
    const told = notice(client, 'message_rate')
    const started = performance.now()
    const sent = Array.from({ length: 500 }, (_, index) => client.publishAsync(TOPIC, `{"v":${index}}`, { qos: 1 }))
    await Promise.all(sent)
    // 200 at once, and 300 more at 200 a second; a clock that is read later only makes it longer.
    expect(performance.now() - started).toBeGreaterThan(1_400)
    expect(harness.log.records.map(({ value }) => Buffer.from(value).toString())).toEqual(
      Array.from({ length: 500 }, (_, index) => `{"v":${index}}`),
    )
    expect(await told).toMatchObject({ code: 'message_rate', limit: 200 })
    expect(client.connected).toBe(true)
    expect(await harness.metric('sluice_broker_limits_total', { limit: 'message_rate' })).toBeGreaterThan(0)
  })

  it('of one device does not slow another', async () => {
    const harness = await startBroker({ DEVICE_MESSAGES_PER_SECOND: 1, RATE_BURST_SECONDS: 1 })
    const slow = await connect(harness)
    const other = await connect(harness, { username: 'a/2' })
    await slow.publishAsync(TOPIC, '1', { qos: 1 })
    slow.publish(TOPIC, '2', { qos: 1 })
    slow.publish(TOPIC, '3', { qos: 1 })
    await other.publishAsync('t/a/2/telemetry', '4', { qos: 1 })
    expect(harness.log.records.map(({ key }) => key)).toContain('a/2')
  })

  it('answers PINGREQ while it holds messages back', async () => {
    const harness = await startBroker({ DEVICE_MESSAGES_PER_SECOND: 1, RATE_BURST_SECONDS: 1 })
    const client = await logIn(harness.port)
    const publish = (id: number) => packet.publish(TOPIC, '1', { qos: 1, id })
    client.send(publish(1), publish(2), packet.pingreq)
    await client.until(() => client.packets.length >= 3, 'an acknowledgement and the answer to the ping')
    expect(client.texts.slice(1)).toEqual(['pingresp', 'puback 1'])
    client.socket.destroy()
    await vi.waitFor(async () => expect(await harness.metric('sluice_broker_connections')).toBe(0), PATIENCE)
  })
})

describe('subscriptions beyond the limit', () => {
  it('are refused one by one, and those that there are may be repeated', async () => {
    const harness = await startBroker({ MAX_SUBSCRIPTIONS: 2 })
    const client = await connect(harness, { username: 'app', protocolVersion: 5 })
    const grant = async (...filters: string[]) => {
      const granted = await client.subscribeAsync(Object.fromEntries(filters.map((filter) => [filter, { qos: 1 }])))
      return granted.map(({ qos }) => qos)
    }
    expect(await grant('x/1', 'x/2', 'x/3').catch((error: unknown) => String(error))).toContain('Quota exceeded')
    expect(await grant('x/1', 'x/2')).toEqual([1, 1])
    expect(await grant('x/3').catch((error: unknown) => String(error))).toContain('Quota exceeded')
    await client.unsubscribeAsync('x/1')
    expect(await grant('x/3')).toEqual([1])
    expect(await harness.metric('sluice_broker_limits_total', { limit: 'subscriptions' })).toBe(2)
  })
})

it('a message that is too long is told', async () => {
  const harness = await startBroker({ MAX_PACKET_BYTES: 1024 })
  const client = await connect(harness)
  await client.subscribeAsync('t/a/1/notice')
  const told = notice(client, 'packet_size')
  await client.publishAsync(TOPIC, 'x'.repeat(2_000), { qos: 1 })
  expect(await told).toMatchObject({ code: 'packet_size', limit: 1024 })
})

describe('who is connected', () => {
  /** What the registry was told, in order. */
  function record({ registry }: Harness) {
    const rows: PresenceRecord[] = []
    let told = Promise.withResolvers<void>()
    registry.presence.record = async (changes) => {
      rows.push(...changes)
      told.resolve()
      told = Promise.withResolvers()
    }
    const next = async (matches: (row: PresenceRecord) => boolean): Promise<PresenceRecord> => {
      for (;;) {
        const found = rows.find(matches)
        if (found !== undefined) return found
        await told.promise
      }
    }
    return { rows, next }
  }

  it('is written with the reason of the end', async () => {
    const harness = await startBroker()
    const { next } = record(harness)
    const client = await connect(harness, { clientId: 'c1' })
    const began = await next(({ connected }) => connected)
    expect(began).toMatchObject({ tenant: 'a', device: '1', clientId: 'c1', node: 'standalone', reason: undefined })
    expect(began.address).toMatch(/127\.0\.0\.1/)
    await client.endAsync()
    const ended = await next(({ connected }) => !connected)
    expect(ended).toMatchObject({ clientId: 'c1', epoch: began.epoch, reason: 'disconnect' })

    const second = await connect(harness, { clientId: 'c2' })
    await next(({ clientId, connected }) => clientId === 'c2' && connected)
    second.stream.destroy()
    expect(await next(({ clientId, connected }) => clientId === 'c2' && !connected)).toMatchObject({ reason: 'closed' })
  })

  it('a connection that is taken over leaves the new one connected', async () => {
    const harness = await startBroker()
    const { rows, next } = record(harness)
    const first = await connect(harness, { clientId: 'c1' })
    const { epoch } = await next(({ connected }) => connected)
    const gone = once(first as never, 'close')
    await connect(harness, { clientId: 'c1' })
    await gone
    await next((row) => row.connected && row.epoch > epoch)
    expect(rows.at(-1)).toMatchObject({ connected: true })
  })

  it('a device that is removed is written as revoked', async () => {
    const harness = await startBroker()
    const { next } = record(harness)
    await connect(harness, { clientId: 'c1' })
    await next(({ connected }) => connected)
    harness.registry.devices.delete('a/1')
    harness.registry.change('a/1')
    expect(await next(({ connected }) => !connected)).toMatchObject({ reason: 'revoked' })
  })
})
