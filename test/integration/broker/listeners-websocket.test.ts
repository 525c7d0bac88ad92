import { once } from 'node:events'
import { connect } from 'node:net'
import type { IClientOptions } from 'mqtt'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket, type ClientOptions } from 'ws'
import type { BrokerSettings } from '../../../config/broker.ts'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { packet } from '../../mqtt/packets.ts'

const CONNACK = '20020000'

async function startWeb(settings: Partial<BrokerSettings> = {}): Promise<{ harness: Harness; port: number }> {
  const harness = await startBroker({ MQTT_WS_PORT: 0, ...settings })
  return { harness, port: harness.broker.addresses.ws?.port ?? 0 }
}

/** A WebSocket client at the level of messages. */
class Web {
  readonly socket: WebSocket
  /** Everything that came, as one. */
  bytes = Buffer.alloc(0)
  messages = 0
  /** Code of the close frame; 1006 without one. */
  closedWith: number | undefined
  /** Status of an upgrade that was refused. */
  status: number | undefined

  constructor(port: number, options: ClientOptions = {}, protocol: string | string[] = 'mqtt') {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/any/path`, protocol, options)
    this.socket.on('message', (data: Buffer) => {
      this.messages += 1
      this.bytes = Buffer.concat([this.bytes, data])
    })
    this.socket.on('close', (code) => (this.closedWith = code))
    this.socket.on('unexpected-response', (_request, response) => {
      this.status = response.statusCode ?? 0
      this.socket.terminate()
    })
    this.socket.on('error', () => undefined)
    onTestFinished(() => this.socket.terminate())
  }

  async open(): Promise<this> {
    await expect.poll(() => this.socket.readyState).toBe(WebSocket.OPEN)
    return this
  }

  async says(count: number): Promise<string> {
    await expect.poll(() => this.bytes.length).toBeGreaterThanOrEqual(count)
    return this.bytes.toString('hex')
  }
}

async function webClient(port: number, clientId = 'c'): Promise<Web> {
  const web = await new Web(port).open()
  web.socket.send(packet.connect({ clientId }))
  expect(await web.says(4)).toBe(CONNACK)
  return web
}

describe('MQTT over WebSocket', () => {
  it('does not care where messages begin and end', async () => {
    const { harness, port } = await startWeb()
    const web = await new Web(port).open()
    const bytes = Buffer.concat([packet.connect(), packet.publish('t/a/1/telemetry', '{}', { qos: 1, id: 5 })])
    for (let at = 0; at < bytes.length; at += 7) web.socket.send(bytes.subarray(at, at + 7))
    web.socket.send(Buffer.alloc(0))
    web.socket.send(packet.pingreq, { fin: false })
    web.socket.send(packet.pingreq, { fin: true })
    expect(await web.says(12)).toMatch(new RegExp(`^${CONNACK}40020005d000d000$|^${CONNACK}d000d00040020005$`))
    web.socket.ping('are you there')
    await new Promise<void>((resolve) => web.socket.once('pong', () => resolve()))
    web.socket.send(packet.disconnect())
    await expect.poll(() => web.closedWith).toBe(1000)
    expect(harness.log.records).toHaveLength(1)
  })

  it('needs the subprotocol, an upgrade and a page that may', async () => {
    const { harness, port } = await startWeb({ MQTT_WS_ORIGINS: ['https://dashboard.example'] })
    const refused = async (status: number, options: ClientOptions = {}, protocol: string | string[] = 'mqtt') => {
      const web = new Web(port, options, protocol)
      await expect.poll(() => web.status).toBe(status)
    }
    await refused(400, {}, [])
    await refused(400, {}, ['mqttv3', 'chat'])
    await refused(403, { origin: 'https://evil.example' })
    await refused(403, { origin: `http://evil.example:${port}`, headers: { host: `evil.example:${port}` } })
    await refused(403, { origin: 'null' })
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(426)
    expect(await harness.metric('sluice_broker_connections_turned_away_total', { reason: 'websocket_refused' })).toBe(6)
    await new Web(port, { origin: 'https://dashboard.example' }).open()
    await new Web(port, { origin: 'https://127.0.0.1:3000' }).open()
    await new Web(port, {}, ['chat', 'mqtt']).open()
  })

  it('takes the subprotocol of MQTT 3.1, too, and says which one it took', async () => {
    const { harness, port } = await startWeb()
    for (const [offered, taken] of [
      [['mqttv3.1'], 'mqttv3.1'],
      [['chat', 'mqttv3.1'], 'mqttv3.1'],
      [['mqttv3.1', 'mqtt'], 'mqtt'],
    ] as const) {
      const web = await new Web(port, {}, [...offered]).open()
      expect(web.socket.protocol).toBe(taken)
    }
    const options: IClientOptions = { protocolId: 'MQIsdp', protocolVersion: 3, clientId: 'old' }
    const { client } = await connectJs({ kind: 'ws', port }, options)
    await client.publishAsync('t/a/1/telemetry', '1', { qos: 1 })
    expect(harness.log.records).toHaveLength(1)
  })

  it('takes no text, and no message beyond its bound', async () => {
    const { port } = await startWeb({ MAX_PACKET_BYTES: 1024 })
    const text = await webClient(port)
    text.socket.send('text')
    await expect.poll(() => text.closedWith).toBe(1003)
    const long = await webClient(port)
    long.socket.send(Buffer.alloc(100_000))
    await expect.poll(() => long.closedWith).toBe(1009)
    const early = await new Web(port).open()
    early.socket.send(Buffer.concat([Buffer.from([0x10, 0xff, 0x7f]), Buffer.alloc(16_383)]))
    await expect.poll(() => early.closedWith).toBeDefined()
  })

  it('is not read while the log makes no progress', async () => {
    const { harness, port } = await startWeb({ MAX_IN_FLIGHT_PER_CLIENT: 4 })
    const web = await webClient(port)
    harness.log.stall()
    const payload = '"'.padEnd(60_000, 'x')
    const count = 400
    for (let id = 1; id <= count; id += 1) {
      web.socket.send(packet.publish('t/a/1/telemetry', payload, { qos: 1, id }))
    }
    await expect.poll(() => harness.metric('sluice_broker_in_flight')).toBe(4)
    // The broker has time for others, in which it could have read all of it.
    const other = await webClient(port, 'other')
    for (let turn = 1; turn <= 1_000; turn += 1) {
      other.socket.send(packet.pingreq)
      while (other.bytes.length < 4 + 2 * turn) await once(other.socket, 'message')
    }
    // What is not read stays here: the kernel takes some megabytes of the 24, the broker far less.
    expect(web.socket.bufferedAmount).toBeGreaterThan(10_000_000)
    expect(await harness.metric('sluice_broker_held_bytes')).toBeLessThan(300_000)
    harness.log.resume()
    await web.says(4 + 4 * count)
    expect(harness.log.records).toHaveLength(count)
  })

  it('closes who begins and does not go on', async () => {
    const { harness, port } = await startWeb()
    const started = performance.now()
    const slow = connect({ port, host: '127.0.0.1' })
    onTestFinished(() => void slow.destroy())
    slow.on('error', () => undefined)
    const closed = new Promise<void>((resolve) => slow.once('close', () => resolve()))
    slow.write('GET /mqtt HTTP/1.1\r\nHost: x\r\n')
    // A byte of a header now and then, as slowly as it takes.
    const dripping = setInterval(() => slow.write('x'), 500)
    onTestFinished(() => clearInterval(dripping))
    await closed
    expect(performance.now() - started).toBeGreaterThan(9_000)
    const reason = { reason: 'handshake_timeout' }
    expect(await harness.metric('sluice_broker_connections_turned_away_total', reason)).toBe(1)
    await expect.poll(() => harness.metric('sluice_broker_sockets')).toBe(0)
  })
})
