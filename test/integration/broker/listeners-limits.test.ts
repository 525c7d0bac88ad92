import { connect, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { TestAuthority } from '../../certificates.ts'
import { logIn, PacketClient } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'

/** An address of this machine for which limits hold; loopback has none. */
const outside = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

const turnedAway = (harness: Harness, reason: string) =>
  harness.metric('sluice_broker_connections_turned_away_total', { reason })

async function opened(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  return socket
}

describe('limits of connections', () => {
  it('a node that is full resets who comes, and takes others when some have left', async () => {
    const harness = await startBroker({ MAX_CONNECTIONS: 3 })
    const clients = await Promise.all(['1', '2', '3'].map((clientId) => logIn(harness.port, { clientId })))
    const fourth = new PacketClient(harness.port)
    await fourth.closed()
    expect([fourth.packets.length, await turnedAway(harness, 'node_full')]).toEqual([0, 1])
    clients[0]?.socket.destroy()
    await expect.poll(() => harness.metric('sluice_broker_sockets')).toBe(2)
    await logIn(harness.port, { clientId: '4' })
  })

  it.skipIf(outside === undefined)('newcomers wait for their turn, and may leave while they do', async () => {
    const authority = await TestAuthority.make()
    const settings = { BIND_ADDRESS: '0.0.0.0', MAX_HANDSHAKES_PER_SECOND: 5, MQTT_WS_PORT: 0, MQTT_WSS_PORT: 0 }
    const harness = await startBroker({ ...authority.settings, ...settings })
    const { mqtt, tls, ws, wss } = harness.broker.addresses
    const ports = [mqtt.port, tls?.port ?? 0, ws?.port ?? 0, wss?.port ?? 0]
    const sockets = await Promise.all(Array.from({ length: 40 }, (_, n) => opened(ports[n % 4] ?? 0, outside)))
    await expect.poll(() => harness.metric('sluice_broker_handshakes_waiting')).toBeGreaterThan(20)
    // Loopback does not wait behind them.
    await logIn(harness.port, { clientId: 'local' })
    for (const socket of sockets) {
      socket.write(packet.connect())
      socket.resetAndDestroy()
    }
    await expect.poll(() => harness.metric('sluice_broker_handshakes_waiting')).toBe(0)
    await expect.poll(() => harness.metric('sluice_broker_sockets')).toBe(1)
  })

  it('who resets a handshake harms nobody', async () => {
    const authority = await TestAuthority.make()
    const harness = await startBroker({ ...authority.settings, MQTT_WS_PORT: 0, MQTT_WSS_PORT: 0 })
    const { tls, ws, wss } = harness.broker.addresses
    const beginnings = [
      '',
      '\x16\x03\x01',
      'GET / HTTP/1.1\r\n',
      'GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
    ]
    for (const { port } of [tls, ws, wss].filter((address) => address !== undefined)) {
      for (const beginning of beginnings) {
        const socket = await opened(port)
        socket.write(beginning)
        await new Promise((resolve) => setImmediate(resolve))
        socket.resetAndDestroy()
      }
    }
    await expect.poll(() => harness.metric('sluice_broker_sockets')).toBe(0)
    await logIn(harness.port)
  })

  it('garbage bans no address', async () => {
    const harness = await startBroker()
    for (let turn = 0; turn < 50; turn += 1) {
      const client = new PacketClient(harness.port)
      client.send(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]))
      await client.closed()
    }
    await logIn(harness.port)
  })
})
