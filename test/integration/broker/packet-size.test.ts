import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { tempFolder } from '../../helpers.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { logIn5 } from '../../mqtt/packet-client.ts'
import { hasMosquitto } from './listener-clients.ts'

const run = promisify(execFile)
/** What Zigbee2MQTT says of some sixty devices. */
const LONG = 'x'.repeat(134_000)
const TOPIC = 'zigbee2mqtt/bridge/devices'

it.each([4, 5] as const)('a long message of an application is delivered and retained: version %i', async (version) => {
  const { port, log } = await startBroker()
  const app = await connectJs(port, { username: 'app', clientId: 'bridge', protocolVersion: version })
  const reader = await connectJs(port, { username: 'app', clientId: 'reader', clean: false })
  await reader.client.subscribeAsync('zigbee2mqtt/#', { qos: 1 })
  await app.client.publishAsync(TOPIC, LONG, { qos: 1, retain: true })
  await expect.poll(() => reader.messages).toEqual([`${TOPIC} ${LONG} 1`])
  await reader.client.endAsync()
  await app.client.publishAsync(TOPIC, `${LONG}y`, { qos: 2, retain: true })
  const back = await connectJs(port, { username: 'app', clientId: 'reader', clean: false })
  await expect.poll(() => back.messages).toEqual([`${TOPIC} ${LONG}y 1`])
  const late = await connectJs(port, { username: 'app', clientId: 'late' })
  await late.client.subscribeAsync('zigbee2mqtt/#', { qos: 1 })
  await expect.poll(() => late.messages).toEqual([`${TOPIC} ${LONG}y 1 retained`])
  expect(log.letters).toEqual([])
})

it.skipIf(!hasMosquitto)('mosquitto_pub and mosquitto_sub, too (apt-get install mosquitto-clients)', async () => {
  const { port } = await startBroker()
  const file = join(tempFolder(), 'long')
  writeFileSync(file, LONG)
  const login = ['-h', '127.0.0.1', '-p', String(port), '-u', 'app', '-P', 's', '-q', '1', '-t', TOPIC]
  await run('mosquitto_pub', [...login, '-r', '-f', file])
  const { stdout } = await run('mosquitto_sub', [...login, '-C', '1'])
  expect(stdout).toBe(`${LONG}\n`)
})

it('telemetry and devices have the smaller limit, and are told', async () => {
  const { port, log, metric } = await startBroker()
  const app = await connectJs(port, { username: 'app' })
  const device = await connectJs(port, { username: 'a/1' })
  await app.client.publishAsync('t/a/2/telemetry', `"${LONG}"`, { qos: 1 })
  await app.client.publishAsync('t/a/2/telemetry', `"${LONG}"`, { qos: 2 })
  await device.client.publishAsync('t/a/1/status', LONG, { qos: 1 })
  await app.client.publishAsync('t/a/2/telemetry', '1', { qos: 1 })
  expect(log.records).toHaveLength(1)
  await expect.poll(() => log.letters.length).toBe(3)
  expect(log.letters.map(({ code, who }) => `${code} ${who}`).toSorted()).toEqual([
    'payload_too_large a/1',
    'payload_too_large app',
    'payload_too_large app',
  ])
  expect(await metric('sluice_broker_limits_total', { limit: 'packet_size' })).toBe(3)
})

it('MQTT 5 is told which one it has', async () => {
  const { port } = await startBroker()
  const sizes = []
  for (const username of ['a/1', 'app']) {
    const [connack] = (await logIn5(port, { username })).packets
    if (connack?.cmd === 'connack') sizes.push(connack.properties?.maximumPacketSize)
  }
  expect(sizes).toEqual([65_536, 1_048_576])
})
