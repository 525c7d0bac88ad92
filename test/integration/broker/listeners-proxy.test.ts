import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import type { BrokerSettings } from '../../../config/broker.ts'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { TestAuthority } from '../../certificates.ts'
import { tempFolder } from '../../helpers.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { PacketClient } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'
import { works } from './listener-clients.ts'

const BEHIND: Partial<BrokerSettings> = { MQTT_PROXY_PROTOCOL: 'on', MQTT_PROXY_FROM: ['127.0.0.1'] }
const hasHaproxy = works('sh', '-c', 'command -v haproxy')

function headerOf(address: string): Buffer {
  return Buffer.from(`PROXY TCP4 ${address} 127.0.0.1 40000 1883\r\n`)
}

const turnedAway = (harness: Harness, reason: string) =>
  harness.metric('sluice_broker_connections_turned_away_total', { reason })

/** A client behind a proxy that tells `address` for it. */
async function clientFrom({ port }: Harness, address: string, options = {}): Promise<PacketClient> {
  const client = new PacketClient(port)
  client.send(headerOf(address), packet.connect(options))
  await client.until(() => client.packets.length > 0 || client.isClosed)
  return client
}

describe('behind a proxy', () => {
  it('limits and refusals are those of the real address', async () => {
    const harness = await startBroker({ ...BEHIND, MAX_CONNECTIONS_PER_ADDRESS: 2 })
    const first = await clientFrom(harness, '203.0.113.7', { clientId: '1' })
    const second = await clientFrom(harness, '203.0.113.7', { clientId: '2' })
    const third = await clientFrom(harness, '203.0.113.7', { clientId: '3' })
    const other = await clientFrom(harness, '203.0.113.8', { clientId: '4' })
    expect([first, second, third, other].map((client) => client.packets.length)).toEqual([1, 1, 0, 1])
    expect(await turnedAway(harness, 'address_full')).toBe(1)
    first.socket.destroy()
    await expect.poll(async () => (await clientFrom(harness, '203.0.113.7', { clientId: '5' })).packets.length).toBe(1)
    const bad = new PacketClient(harness.port)
    bad.send(headerOf('198.51.100.9'), packet.pingreq)
    await bad.closed()
    await expect
      .poll(() => harness.log.letters.at(-1))
      .toMatchObject({ who: '198.51.100.9', code: 'protocol_violation' })
  })

  it('an address where logins are guessed comes in one by one, and nobody else waits for it', async () => {
    const harness = await startBroker({ ...BEHIND, MAX_HANDSHAKES_PER_SECOND: 0 })
    const waiting = () => harness.metric('sluice_broker_handshakes_waiting')
    const guess = (n: number) => ({ clientId: `${n}`, username: 'acme/nobody', password: `wrong ${n}` })
    const guesses = Array.from({ length: 30 }, (_, n) => clientFrom(harness, '203.0.113.7', guess(n)))
    const codes = (await Promise.all(guesses)).map(({ texts }) => texts[0])
    expect(codes).toEqual(guesses.map(() => 'connack 0 4'))
    const more = Array.from({ length: 200 }, (_, n) => {
      const client = new PacketClient(harness.port)
      client.send(headerOf('203.0.113.7'), packet.connect(guess(100 + n)))
      return client
    })
    await expect.poll(waiting, { interval: 1 }).toBeGreaterThan(0)
    const other = await clientFrom(harness, '203.0.113.8', { clientId: 'other' })
    expect([other.texts[0], await waiting()]).toEqual(['connack 0 0', expect.toSatisfy((count: number) => count > 0)])
    for (const client of more) client.socket.destroy()
    await expect.poll(waiting).toBe(0)
  })

  it('a header that comes byte by byte is read, and what follows it is not lost', async () => {
    const harness = await startBroker(BEHIND)
    const client = new PacketClient(harness.port)
    const publish = packet.publish('t/a/1/telemetry', '{}', { qos: 1, id: 7 })
    for (const byte of Buffer.concat([headerOf('203.0.113.7'), packet.connect()])) {
      client.socket.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    client.send(publish)
    expect(await client.packetsUpTo(2)).toEqual(['connack 0 0', 'puback 7'])
  })

  it('no header, a wrong one, and one of somebody else are refused', async () => {
    const harness = await startBroker(BEHIND)
    const client = new PacketClient(harness.port)
    client.send(packet.connect())
    await client.closed()
    expect([client.packets.length, await turnedAway(harness, 'proxy_invalid')]).toEqual([0, 1])
    const stranger = await startBroker({ ...BEHIND, MQTT_PROXY_FROM: ['192.0.2.0/24', '2001:db8::/32'] })
    const liar = await clientFrom(stranger, '203.0.113.7')
    expect([liar.packets.length, await turnedAway(stranger, 'proxy_unlisted')]).toEqual([0, 1])
    // The server itself is found well.
    const local = new PacketClient(harness.port)
    local.send(Buffer.from('PROXY UNKNOWN\r\n'), packet.connect())
    expect(await local.packetsUpTo(1)).toEqual(['connack 0 0'])
  })

  it.each([
    [{ MQTT_PROXY_FROM: [] }, 'MQTT_PROXY_PROTOCOL'],
    [{ MQTT_ANONYMOUS_AS: 'lab' }, 'MQTT_ANONYMOUS_AS'],
    [{ MQTT_ANONYMOUS_AS: 'lab', MQTT_PROXY_PROTOCOL: 'off' as const }, 'MQTT_ANONYMOUS_AS'],
  ])('does not start with %j', async (settings, name) => {
    const message = expect.stringContaining(name) as string
    await expect(startBroker({ ...BEHIND, ...settings })).rejects.toMatchObject({ code: 'setting_invalid', message })
  })
})

describe('behind a proxy of HTTP, which speaks WebSocket to us', () => {
  const WEB = { MQTT_WS_PORT: 0, MQTT_PROXY_FROM: ['127.0.0.1', '10.0.0.0/8'] } as const
  type Connect = Parameters<typeof packet.connect>[0]
  /** What the client gets: its CONNACK, or nothing because it was turned away. */
  const webFrom = async (
    harness: Harness,
    forwardedFor: string,
    options: Connect | 'no connect' = {},
  ): Promise<string> => {
    const headers = { 'x-forwarded-for': forwardedFor }
    const socket = new WebSocket(`ws://127.0.0.1:${harness.broker.addresses.ws?.port}`, 'mqtt', { headers })
    onTestFinished(() => socket.terminate())
    const { promise, resolve } = Promise.withResolvers<string>()
    socket.on('open', () => socket.send(options === 'no connect' ? packet.pingreq : packet.connect(options)))
    socket.on('message', (data: Buffer) => resolve(data.toString('hex')))
    socket.on('close', () => resolve('closed'))
    socket.on('error', () => undefined)
    return promise
  }

  it('limits are those of the client that a listed proxy names, whatever the client wrote before', async () => {
    const harness = await startBroker({ ...WEB, MAX_CONNECTIONS_PER_ADDRESS: 2 })
    const ask = (n: number, forwardedFor: string) => webFrom(harness, forwardedFor, { clientId: String(n) })
    expect(await ask(1, '203.0.113.7')).toBe('20020000')
    expect(await ask(2, '192.0.2.1, 203.0.113.7')).toBe('20020000')
    expect(await ask(3, '192.0.2.2, 203.0.113.7:4711, 10.1.2.3')).toBe('closed')
    expect(await ask(4, '203.0.113.7, 203.0.113.8')).toBe('20020000')
    expect(await turnedAway(harness, 'address_full')).toBe(1)
  })

  it('refusals name that client', async () => {
    const harness = await startBroker(WEB)
    await webFrom(harness, '203.0.113.7', 'no connect')
    await expect
      .poll(() => harness.log.letters.at(-1))
      .toMatchObject({ who: '203.0.113.7', code: 'protocol_violation' })
  })

  it('a proxy that is not listed names nobody', async () => {
    const harness = await startBroker({
      MQTT_WS_PORT: 0,
      MQTT_PROXY_FROM: ['192.0.2.1'],
      MAX_CONNECTIONS_PER_ADDRESS: 1,
    })
    const ask = (n: number) => webFrom(harness, '203.0.113.7', { clientId: String(n) })
    expect([await ask(1), await ask(2)]).toEqual(['20020000', '20020000'])
  })
})

/** HAProxy on free ports; answers with the one for each `kind`. */
async function startHaproxy(config: string): Promise<number[]> {
  const file = join(tempFolder(), 'haproxy.cfg')
  const ports = [await freePort(), await freePort()]
  writeFileSync(
    file,
    config.replaceAll(/:PORT(\d)/g, (_all, index: string) => `127.0.0.1:${ports[Number(index)]}`),
  )
  const child = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' })
  onTestFinished(async () => {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  })
  for (const port of ports) await expect.poll(() => isOpen(port)).toBe(true)
  return ports
}

async function freePort(): Promise<number> {
  const harness = await import('node:net').then(({ createServer }) => createServer().listen(0, '127.0.0.1'))
  await once(harness, 'listening')
  const address = harness.address()
  harness.close()
  await once(harness, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function isOpen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('connect', () => resolve(true))
  socket.on('error', () => resolve(false))
  const isThere = await promise
  socket.destroy()
  return isThere
}

describe.skipIf(!hasHaproxy)('HAProxy (apt-get install haproxy)', () => {
  it.each(['send-proxy', 'send-proxy-v2'])('hands TCP and TLS on with %s', async (header) => {
    const authority = await TestAuthority.make()
    const harness = await startBroker({ ...BEHIND, ...authority.settings })
    const [plain = 0, tls = 0] = await startHaproxy(
      [
        'defaults\n mode tcp\n timeout connect 3s\n timeout client 1m\n timeout server 1m',
        `listen mqtt\n bind :PORT0\n server b 127.0.0.1:${harness.port} ${header}`,
        `listen mqtts\n bind :PORT1\n server b 127.0.0.1:${harness.broker.addresses.tls?.port} ${header}`,
      ].join('\n') + '\n',
    )
    for (const way of [{ kind: 'tcp', port: plain } as const, { kind: 'tls', port: tls, ca: authority.ca } as const]) {
      const { client } = await connectJs(way)
      await client.publishAsync('t/a/1/telemetry', '{}', { qos: 1 })
      await client.endAsync()
    }
    expect(harness.log.records).toHaveLength(2)
    // The probe for whether HAProxy listens may have come through, too.
    expect(await turnedAway(harness, 'proxy_invalid')).toBe(0)
  })

  it('takes the sample configuration', () => {
    const sample = readFileSync(join(import.meta.dirname, '../../../config/haproxy/haproxy.cfg'), 'utf8')
    const file = join(tempFolder(), 'haproxy.cfg')
    writeFileSync(file, sample.replaceAll(/broker-(\d):(\d+)/g, '127.0.0.$1:$2'))
    expect(works('haproxy', '-c', '-f', file)).toBe(true)
  })
})
