import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { BrokerSettings } from '../../../config/broker.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { logIn, logIn5 } from '../../mqtt/packet-client.ts'
import { packet, packet5 } from '../../mqtt/packets.ts'

/** A broker with the devices `a/1` to `a/9`, and the application `app`, which may do everything. */
export interface KeepingBroker {
  readonly port: number
  metric(name: string): Promise<number>
}

/** What a broker keeps beyond a connection is bounded, wherever it keeps it. */
export function itKeepsSoMuch(start: (settings?: Partial<BrokerSettings>) => Promise<KeepingBroker>): void {
  it('retains a hundred topics of a device, and as many as an application likes', async () => {
    const broker = await start()
    const device = await connectJs(broker.port, { username: 'a/1' })
    const other = await connectJs(broker.port, { username: 'a/2' })
    const app = await connectJs(broker.port, { username: 'app' })
    const retain = { qos: 1, retain: true } as const
    for (let n = 0; n < 110; n += 1) {
      void device.client.publishAsync(`t/a/1/status/${n}`, 'x', retain)
      void app.client.publishAsync(`house/${n}`, 'x', retain)
    }
    await expect.poll(() => broker.metric(DROPPED)).toBe(10)
    await device.client.publishAsync('t/a/1/status/0', '', retain)
    await device.client.publishAsync('t/a/1/status/109', 'x', retain)
    await device.client.publishAsync('t/a/1/status/1', 'y', retain)
    await other.client.publishAsync('t/a/2/status', 'on', retain)
    const numbers = [...Array.from({ length: 99 }, (_, n) => n + 1), 109]
    await expect.poll(await retainedBelow(broker, 't/a/1/#')).toEqual(numbers.map((n) => `t/a/1/status/${n} 1`).sort())
    await expect.poll(await retainedBelow(broker, 't/a/2/#')).toEqual(['t/a/2/status 2'])
    const house = await retainedBelow(broker, 'house/#')
    await expect.poll(() => house().length).toBe(110)
    expect(await broker.metric(DROPPED)).toBe(10)
  })

  it('retains 256 KiB of a device; what is beyond them is delivered, and what it was to replace is gone', async () => {
    const broker = await start()
    const device = await connectJs(broker.port, { username: 'a/1' })
    const app = await connectJs(broker.port, { username: 'app' })
    await app.client.subscribeAsync('t/a/1/status/+')
    const sizes = [60_000, 60_000, 60_000, 60_000, 60_000, 20_000]
    for (const [n, size] of sizes.entries()) await send(n, size)
    await expect
      .poll(await retainedBelow(broker, 't/a/1/#'))
      .toEqual(sizesOf([60_000, 60_000, 60_000, 60_000, 0, 20_000]))
    // Smaller ones always find room, larger ones when there is some.
    for (const [n, size] of [59_000, 30_000, 60_000, 60_000].entries()) await send(n, size)
    await send(5, 60_000)
    await send(4, 40_000)
    await expect.poll(await retainedBelow(broker, 't/a/1/#')).toEqual(sizesOf([59_000, 30_000, 60_000, 60_000, 40_000]))
    expect(await broker.metric(DROPPED)).toBe(2)
    await expect.poll(() => app.messages.length).toBe(sizes.length + 6)

    function send(n: number, size: number): Promise<unknown> {
      return device.client.publishAsync(`t/a/1/status/${n}`, Buffer.alloc(size, 'x'), { qos: 1, retain: true })
    }
    function sizesOf(all: readonly number[]): string[] {
      return all.flatMap((size, n) => (size === 0 ? [] : [`t/a/1/status/${n} ${size}`]))
    }
  })

  it('keeps 4 MiB for a session, of QoS 1 and 2, and as much again when the client has taken that', async () => {
    const broker = await start()
    const app = await connectJs(broker.port, { username: 'app' })
    const session = { clientId: 'p', clean: false }
    const first = await connectJs(broker.port, { username: 'a/1', ...session })
    await first.client.subscribeAsync('t/a/1/cmd/#', { qos: 2 })
    await first.client.endAsync()
    // Sixty-nine of them are less than 4 MiB.
    const command = (n: number): Buffer => Buffer.from(String(n).padEnd(60_000))
    for (const round of [1, 2]) {
      for (let n = 0; n < 75; n += 1) {
        await app.client.publishAsync('t/a/1/cmd/x', command(n), { qos: n % 3 === 0 ? 2 : 1 })
      }
      await expect.poll(() => broker.metric(SESSION_DROPPED)).toBe(5 * round)
      const back = await connectJs(broker.port, { username: 'a/1', ...session })
      let acknowledged = 0
      back.client.on('packetsend', ({ cmd }) => {
        if (cmd === 'puback' || cmd === 'pubcomp') acknowledged += 1
      })
      await expect.poll(() => acknowledged).toBe(70)
      // MQTT.js shows a message of QoS 2 when it is released.
      const numbers = back.messages.map((text) => Number(text.split(' ')[1])).sort((a, b) => a - b)
      expect(numbers).toEqual([...Array(70).keys()])
      await back.client.endAsync()
    }
  })

  it('lets a login have so many persistent sessions, and no more, however they are asked for', async () => {
    const { port } = await start({ MAX_SESSIONS_PER_LOGIN: 2 })
    const listener = await connectJs(port, { username: 'a/1', clientId: 'listener' })
    await listener.client.subscribeAsync('t/a/1/notice')
    const open = async (clientId: string, clean: boolean, username = 'a/1'): Promise<string> => {
      const client = await logIn(port, { username, clientId, clean })
      // What keeps nothing would make room.
      await client.subscribe([`t/${username}/cmd/#`, 1])
      client.send(packet.disconnect())
      await client.closed()
      return String(client.texts[0])
    }
    const open5 = async (
      clientId: string,
      clean: boolean,
      sessionExpiryInterval: number,
    ): Promise<number | undefined> => {
      const client = await logIn5(port, { clientId, clean, properties: { sessionExpiryInterval } })
      await client.subscribe(['t/a/1/cmd/#', 1])
      client.send(packet5.disconnect())
      await client.closed()
      const [answer] = client.packets
      return answer?.cmd === 'connack' ? answer.reasonCode : undefined
    }
    // These end with their connections.
    for (const id of ['c1', 'c2', 'c3']) {
      expect(await open(id, true)).toBe('connack 0 0')
      expect(await open5(id, false, 0)).toBe(0)
    }
    expect([await open('p1', false), await open5('p2', true, 3_600)]).toEqual(['connack 0 0', 0])
    expect([await open('p3', false), await open5('p4', true, 1), await open5('p5', false, 1)]).toEqual([
      'connack 0 3',
      ...[0x97, 0x97],
    ])
    await expect.poll(() => listener.messages.join()).toContain('"code":"sessions","limit":2')
    // What there is goes on, another login has its own, and a clean session is none.
    expect([await open('p1', false), await open5('p2', false, 3_600), await open('p3', true)]).toEqual([
      ...['connack 1 0', 0],
      'connack 0 0',
    ])
    expect(await open('p3', false, 'a/2')).toBe('connack 0 0')
    // A connection of a clean session that becomes a persistent one.
    const held = await logIn(port, { clientId: 'held' })
    expect(await open('held', false)).toBe('connack 0 3')
    await held.closed()
    // One that begins anew stays one, one that is cleaned is none any more.
    expect([await open5('p2', true, 3_600), await open('p3', false)]).toEqual([0, 'connack 0 3'])
    expect([await open('p1', true), await open('p3', false), await open('p1', false)]).toEqual([
      ...['connack 0 0', 'connack 0 0'],
      'connack 0 3',
    ])
  })

  it('lets a device in that makes up a client id at each start, for a session that keeps nothing', async () => {
    const { port, metric } = await start({ MAX_SESSIONS_PER_LOGIN: 3 })
    const listener = await connectJs(port, { username: 'a/1', clientId: 'listener' })
    await listener.client.subscribeAsync('t/a/1/notice')
    const kept = await connectJs(port, { username: 'a/1', clientId: 'kept', clean: false })
    await kept.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
    await kept.client.endAsync()
    const isPresent = async (clientId: string): Promise<boolean> => {
      const { client, hasSession } = await connectJs(port, { username: 'a/1', clientId, clean: false })
      await client.publishAsync('t/a/1/telemetry', '1', { qos: 1 })
      await client.endAsync()
      return hasSession
    }
    for (const id of ['esp-9', 'esp-3', 'esp-7', 'esp-1', 'esp-5']) expect(await isPresent(id)).toBe(false)
    await expect.poll(() => listener.messages.join()).toContain('"code":"sessions","limit":3')
    expect(await metric('sluice_broker_sessions_replaced_total')).toBe(3)
    for (const id of ['esp-5', 'esp-1', 'kept']) expect(await isPresent(id)).toBe(true)
    expect(await isPresent('esp-9')).toBe(false)
  })

  it('forgets what waited for a persistent session when its client connects clean', async () => {
    const { port } = await start()
    const app = await connectJs(port, { username: 'app' })
    const options = { clientId: 'p', clean: false }
    const first = await connectJs(port, { username: 'a/1', ...options })
    await first.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
    await first.client.endAsync()
    await app.client.publishAsync('t/a/1/cmd/x', 'old', { qos: 1 })
    const clean = await connectJs(port, { username: 'a/1', ...options, clean: true })
    await clean.client.endAsync()
    const second = await connectJs(port, { username: 'a/1', ...options })
    await second.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
    await app.client.publishAsync('t/a/1/cmd/x', 'new', { qos: 1 })
    await expect.poll(() => second.messages).toEqual(['t/a/1/cmd/x new 1'])
  })
}

const SESSION_DROPPED = 'sluice_broker_session_messages_dropped_total'
const DROPPED = 'sluice_broker_retained_dropped_total'

/** Asks for what is retained below a filter, and returns what has come of it: `topic bytes`, sorted. */
async function retainedBelow({ port }: KeepingBroker, filter: string): Promise<() => string[]> {
  const { client } = await connectJs(port, { username: 'app', clientId: randomUUID() })
  const kept: string[] = []
  client.on('message', (topic, payload, { retain }) => {
    if (retain) kept.push(`${topic} ${payload.length}`)
  })
  await client.subscribeAsync(filter, { qos: 0 })
  return () => kept.toSorted()
}
