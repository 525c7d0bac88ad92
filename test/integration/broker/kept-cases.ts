import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { BrokerSettings } from '../../../config/broker.ts'
import { connect } from '../../mqtt-inbox.ts'

/** A broker with the devices `a/1` to `a/9`, and the application `app`, which may do everything. */
export interface KeepingBroker {
  readonly port: number
  metric(name: string): Promise<number>
}

/** What a broker keeps beyond a connection is bounded, wherever it keeps it. */
export function itKeepsSoMuch(start: (settings?: Partial<BrokerSettings>) => Promise<KeepingBroker>): void {
  it('retains a hundred topics of a device, and as many as an application likes', async () => {
    const broker = await start()
    const device = await connect(broker.port, 'a/1')
    const other = await connect(broker.port, 'a/2')
    const app = await connect(broker.port, 'app')
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
    const device = await connect(broker.port, 'a/1')
    const app = await connect(broker.port, 'app')
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
    const app = await connect(broker.port, 'app')
    const session = { clientId: 'p', clean: false }
    const first = await connect(broker.port, 'a/1', session)
    await first.client.subscribeAsync('t/a/1/cmd/#', { qos: 2 })
    await first.client.endAsync()
    // Sixty-nine of them are less than 4 MiB.
    const command = (n: number): Buffer => Buffer.from(String(n).padEnd(60_000))
    for (const round of [1, 2]) {
      for (let n = 0; n < 75; n += 1) {
        await app.client.publishAsync('t/a/1/cmd/x', command(n), { qos: n % 3 === 0 ? 2 : 1 })
      }
      await expect.poll(() => broker.metric(SESSION_DROPPED)).toBe(5 * round)
      const back = await connect(broker.port, 'a/1', session)
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
}

const SESSION_DROPPED = 'sluice_broker_session_messages_dropped_total'
const DROPPED = 'sluice_broker_retained_dropped_total'

/** Asks for what is retained below a filter, and returns what has come of it: `topic bytes`, sorted. */
async function retainedBelow({ port }: KeepingBroker, filter: string): Promise<() => string[]> {
  const { client } = await connect(port, 'app', { clientId: randomUUID() })
  const kept: string[] = []
  client.on('message', (topic, payload, { retain }) => {
    if (retain) kept.push(`${topic} ${payload.length}`)
  })
  await client.subscribeAsync(filter, { qos: 0 })
  return () => kept.toSorted()
}
