import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { openJs } from '../../mqtt/mqtt-js.ts'
import { logIn, logIn5 } from '../../mqtt/packet-client.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0

/** The broker's clock; the clients' goes on. */
async function passSeconds(seconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(seconds * 1_000)
}

function holdTime(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
}

describe('a client of MQTT 3.1.1 that is silent', () => {
  it.each([60, 3_600, 65_535])('stays for its own keepalive of %i s, whatever the node likes', async (keepalive) => {
    holdTime()
    const { port, metric } = await startBroker({ MAX_KEEPALIVE_SECONDS: 5 })
    const will = { topic: 't/a/1/status', payload: 'offline', retain: true, qos: 1 }
    const client = await logIn(port, { keepalive, will })
    await passSeconds(60)
    expect(client.isClosed).toBe(false)
    if (keepalive > 60) return
    await passSeconds(40)
    await client.closed()
    expect(await metric('sluice_broker_keepalive_timeouts_total')).toBe(1)
  })

  it('is told nothing of a limit that is none for it', async () => {
    const { port, metric } = await startBroker()
    await logIn(port, { keepalive: 0 })
    await logIn(port, { keepalive: 65_535, clientId: 'other' })
    expect(await metric('sluice_broker_limits_total')).toBe(0)
  })

  it('MQTT.js without keepalive stays, and so does a device of MQTT 5 for as long as it was told', async () => {
    holdTime()
    const { port, log } = await startBroker({ MAX_KEEPALIVE_SECONDS: 5 })
    const client = openJs(port, { username: 'a/1', password: 's', keepalive: 0 })
    onTestFinished(() => client.endAsync(true))
    await new Promise((resolve) => client.once('connect', resolve))
    const told = await logIn5(port, { keepalive: 0, clientId: 'told' })
    expect(told.packets[0]).toMatchObject({ properties: { serverKeepAlive: 5 } })
    await passSeconds(3_600)
    await told.closed()
    await client.publishAsync('t/a/1/telemetry', '1', { qos: 1 })
    expect(log.records).toHaveLength(1)
  })

  it('without keepalive is one of a few: beyond them those go that were silent longest', async () => {
    holdTime()
    const { port, metric } = await startBroker({ MAX_KEEPALIVE_SECONDS: 5, MAX_SILENT_CONNECTIONS: 2 })
    const clients = []
    for (const clientId of ['c1', 'c2', 'c3', 'c4']) {
      clients.push(await logIn(port, { keepalive: 0, clientId }))
      await passSeconds(2)
    }
    const [first, second, third, fourth] = clients
    // The first one says something, and is the last then.
    first?.send(Buffer.from([0xc0, 0]))
    await first?.until(() => first.texts.includes('pingresp'))
    await passSeconds(20)
    await Promise.all([second?.closed(), third?.closed()])
    expect([first?.isClosed, fourth?.isClosed]).toEqual([false, false])
    expect(await metric('sluice_broker_silent_connections')).toBe(2)
    expect(await metric('sluice_broker_keepalive_timeouts_total')).toBe(2)
  })
})

const OPEN_PORT = `
  const { openPort } = await import(${source('services/broker/listeners/tcp.ts')})
  const options = { host: '127.0.0.1', port: 0, reusePort: false, setting: 'MQTT_PORT' }
  const port = await openPort(options, (socket) => {
    socket.destroy()
    port.close()
  })
  connect(port.address.port, '127.0.0.1').on('error', () => undefined)`
const OPEN_HTTP = `
  const { HttpConnections } = await import(${source('shared/process/http-connections.ts')})
  const { createMetrics } = await import(${source('shared/process/metrics.ts')})
  const server = (await import('node:http')).createServer()
  new HttpConnections(server, { listener: 'ops', connections: 9, perAddress: 0, requestMs: 1000 }, createMetrics({ defaults: false }))
  server.on('connection', (socket) => {
    socket.destroy()
    server.close()
  })
  server.listen(0, '127.0.0.1', () => connect(server.address().port, '127.0.0.1').on('error', () => undefined))`

function source(path: string): string {
  return JSON.stringify(fileURLToPath(new URL(`../../../${path}`, import.meta.url)))
}

it.skipIf(!canTrace).each([
  ['MQTT', OPEN_PORT],
  ['HTTP', OPEN_HTTP],
])('the kernel probes every socket of %s: after 60 s, three times (needs apt-get install strace)', (_name, body) => {
  const program = `const { connect } = await import('node:net')\n${body}`
  const node = [process.execPath, '--input-type=module', '-e', program]
  const { stderr } = spawnSync('strace', ['-f', '-e', 'trace=setsockopt', ...node], { encoding: 'utf8' })
  for (const option of ['SO_KEEPALIVE, [1]', 'TCP_KEEPIDLE, [60]', 'TCP_KEEPINTVL, [60]', 'TCP_KEEPCNT, [3]']) {
    expect(stderr).toContain(option)
  }
})
