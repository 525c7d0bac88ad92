import { describe, expect, it } from 'vitest'
import { MAX_SHARED } from '../../../shared/sessions/bounds.ts'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { startLineProcess, type LineProcess } from '../../line-process.ts'
import { connectJs, type Inbox } from '../../mqtt/mqtt-js.ts'
import { APP, logIn, logIn5 } from '../../mqtt/packet-client.ts'
import { packet, packet5 } from '../../mqtt/packets.ts'
import { hasMosquitto } from './listener-clients.ts'

const ALL = '$share/g/house/#'

async function app(port: number, clientId: string, more: { protocolVersion?: 4 | 5; clean?: boolean } = {}) {
  return connectJs(port, { username: 'app', clientId, ...more })
}

async function publish({ port }: Harness, topics: readonly string[], qos: 0 | 1 | 2): Promise<void> {
  const { client } = await app(port, 'publisher')
  await Promise.all(topics.map((topic, index) => client.publishAsync(topic, String(index), { qos })))
}

const house = (count: number): string[] => Array.from({ length: count }, (_, index) => `house/${index % 7}`)

/** What arrived, over all members. */
const received = (members: readonly Inbox[]): number[] =>
  members.flatMap(({ messages }) => messages.map((line) => Number(line.split(' ')[1]))).toSorted((a, b) => a - b)

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

describe('a shared subscription', () => {
  it.each([0, 1, 2] as const)('gets each message at QoS %i once, and its members get as many', async (qos) => {
    const harness = await startBroker()
    const members: Inbox[] = []
    for (const protocolVersion of [4, 5, 4, 5] as const) {
      const member = await app(harness.port, `m${members.length}`, { protocolVersion, clean: members.length < 3 })
      await member.client.subscribeAsync(ALL, { qos })
      members.push(member)
    }
    const alone = await app(harness.port, 'alone')
    await alone.client.subscribeAsync('house/#', { qos })
    await publish(harness, house(1_000), qos)
    await expect.poll(() => received(members)).toEqual(upTo(1_000))
    await expect.poll(() => alone.messages.length).toBe(1_000)
    for (const { messages } of members) expect(Math.abs(messages.length - 250)).toBeLessThan(50)
  })

  it('gets telemetry, each once', async () => {
    const harness = await startBroker()
    const members = [await app(harness.port, 'm1'), await app(harness.port, 'm2', { protocolVersion: 5 })]
    for (const { client } of members) {
      expect(await client.subscribeAsync('$share/g/t/a/+/telemetry', { qos: 1 })).toMatchObject([{ qos: 0 }])
    }
    const device = await connectJs(harness.port)
    for (const n of upTo(100)) await device.client.publishAsync('t/a/1/telemetry', String(n), { qos: 1 })
    await expect.poll(() => received(members)).toEqual(upTo(100))
    expect(members.map(({ messages }) => messages.length)).toEqual([50, 50])
  })

  it('gets nothing that is retained, and nothing more when it is taken back by the same text', async () => {
    const harness = await startBroker()
    const member = await app(harness.port, 'm', { protocolVersion: 5 })
    await member.client.publishAsync('house/door', 'open', { retain: true, qos: 1 })
    await member.client.subscribeAsync(ALL, { qos: 1 })
    await publish(harness, ['house/a'], 1)
    await expect.poll(() => member.messages).toEqual(['house/a 0 1'])
    await member.client.unsubscribeAsync(ALL)
    await publish(harness, ['house/b'], 1)
    await member.client.subscribeAsync(ALL, { qos: 1 })
    await publish(harness, ['house/c'], 1)
    await expect.poll(() => member.messages).toEqual(['house/a 0 1', 'house/c 0 1'])
    const client = await logIn5(harness.port, APP)
    client.send(packet5.unsubscribe(3, ALL, '$share/other/house/#'))
    expect((await client.packetsUpTo(2)).at(-1)).toBe('unsuback 3 0x11 0x11')
  })

  it('of a device is refused, and CONNACK says so', async () => {
    const { port } = await startBroker()
    const device = await connectJs(port, { protocolVersion: 5, reconnectPeriod: 0 })
    await expect(device.client.subscribeAsync('$share/g/t/a/1/cmd/#', { qos: 1 })).rejects.toThrow()
    const old = await logIn(port)
    old.send(packet.subscribe(1, ['t/a/1/cmd/#', 1], ['$share/g/t/a/1/cmd/#', 1]))
    expect((await old.packetsUpTo(2)).at(-1)).toBe('suback 1 1 128')
  })

  it('is one of so many of an application: one more is refused as a quota', async () => {
    const { port } = await startBroker({ MAX_SUBSCRIPTIONS: 1_000 })
    const client = await logIn5(port, APP)
    for (let index = 0; index < MAX_SHARED.groupsOfLogin; index += 1) {
      client.send(packet5.subscribe(1, [`$share/g${index}/x`, 1]))
      expect((await client.packetsUpTo(index + 2)).at(-1)).toBe('suback 1 0x1')
    }
    client.send(packet5.subscribe(2, ['$share/more/x', 1], ['y', 1]))
    expect((await client.packetsUpTo(MAX_SHARED.groupsOfLogin + 2)).at(-1)).toBe('suback 2 0x97 0x1')
  })
})

describe('a member', () => {
  it('that leaves without having acknowledged: another gets the messages, once', async () => {
    const harness = await startBroker()
    const silent = await logIn(harness.port, { username: 'app', clientId: 'silent' })
    silent.send(packet.subscribe(1, [ALL, 1]))
    await silent.packetsUpTo(2)
    await publish(harness, house(10), 1)
    await silent.packetsUpTo(12)
    const heir = await app(harness.port, 'heir')
    await heir.client.subscribeAsync(ALL, { qos: 1 })
    expect(heir.messages).toEqual([])
    silent.socket.destroy()
    await expect.poll(() => received([heir])).toEqual(upTo(10))
  })

  it('that is away and persistent keeps its messages; without one that is connected all wait', async () => {
    const harness = await startBroker()
    const first = await app(harness.port, 'kept', { clean: false })
    await first.client.subscribeAsync(ALL, { qos: 1 })
    await first.client.endAsync()
    await publish(harness, house(5), 1)
    const back = await app(harness.port, 'kept', { clean: false })
    expect(back.hasSession).toBe(true)
    await expect.poll(() => received([back])).toEqual(upTo(5))
    await publish(harness, house(5), 1)
    await expect.poll(() => back.messages.length).toBe(10)
  })

  it('gets nothing that its rules deny, at the time of the message: another member does', async () => {
    const harness = await startBroker()
    const { registry } = harness
    registry.applications.set('half', [...(registry.applications.get('app') ?? [])])
    const half = await connectJs(harness.port, { username: 'half', clientId: 'half' })
    const full = await app(harness.port, 'full')
    for (const { client } of [half, full]) await client.subscribeAsync(ALL, { qos: 1 })
    await publish(harness, house(4), 1)
    await expect.poll(() => [half.messages.length, full.messages.length]).toEqual([2, 2])
    const rules = registry.applications.get('app') ?? []
    registry.applications.set('half', [...rules, { effect: 'deny', action: 'subscribe', topic: 'house/0' }])
    registry.change('half')
    // From when on the rule is in force.
    const isRefused = async (): Promise<boolean> =>
      (await half.client.subscribeAsync('house/0').catch(() => [])).every(({ qos }) => qos === 128)
    await expect.poll(isRefused).toBe(true)
    const before = [...half.messages]
    await publish(harness, ['house/0', 'house/0', 'house/0', 'house/0'], 1)
    await expect.poll(() => full.messages.length).toBe(6)
    expect(half.messages).toEqual(before)
  })
})

describe.skipIf(!hasMosquitto)('mosquitto_sub', () => {
  it.each(['mqttv311', 'mqttv5'])('shares with another one, as with Mosquitto: %s', async (version) => {
    const harness = await startBroker()
    const address = ['-h', '127.0.0.1', '-p', String(harness.port), '-u', 'app', '-P', 's', '-V', version]
    const start = async (): Promise<LineProcess> => {
      const before = await harness.metric('sluice_broker_shared_members')
      const one = startLineProcess(['mosquitto_sub', ...address, '-t', '$share/g/t/#', '-q', '1', '-F', '%p'])
      await expect.poll(() => harness.metric('sluice_broker_shared_members')).toBe(before + 1)
      return one
    }
    const members = [await start(), await start()]
    const device = await connectJs(harness.port)
    for (const n of upTo(50)) await device.client.publishAsync('t/a/1/telemetry', String(2 * n), { qos: 1 })
    for (const n of upTo(50)) await device.client.publishAsync('t/a/1/status', String(2 * n + 1), { qos: 1 })
    const lines = (): number[] => members.flatMap((one) => one.lines.map(Number)).toSorted((a, b) => a - b)
    await expect.poll(lines).toEqual(upTo(100))
    for (const { lines: own } of members) expect(own.length).toBe(50)
  })
})
