import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { IConnackPacket, IClientOptions } from 'mqtt'
import { describe, expect, it } from 'vitest'
import type { DeviceLimitRecord } from '../../../shared/registry/presence-port.ts'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { connectJs, openJs } from '../../mqtt/mqtt-js.ts'
import { logIn, logIn5, PacketClient } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'
import { hasMosquitto, hasPaho } from './listener-clients.ts'

const run = promisify(execFile)

/** As Tasmota, ESPHome, Shelly and Zigbee2MQTT have theirs, a typing error, another device's, and one that nobody may have. */
const TOPICS = [
  'tele/plug/LWT',
  'esphome/status',
  'shellyplus1-a8032/online',
  'zigbee2mqtt/bridge/state',
  't/a/1/telemetri',
  't/b/1/status',
  't/a/2/status',
  't/a/2/cmd/reboot',
  't/a/2/telemetry',
  'house/door',
  '$SYS/x',
]

/** Sees everything from now on; returns what that was, but for the device's own telemetry and notices, up to the call. */
async function watch(harness: Harness): Promise<() => Promise<string[]>> {
  const { client, messages } = await connectJs(harness.port, { username: 'app' })
  await client.subscribeAsync('#', { qos: 1 })
  return async () => {
    // The other connection has ended, and what it has caused is before this.
    await expect.poll(() => harness.metric('sluice_broker_connections')).toBe(1)
    await client.publishAsync('behind', 'x', { qos: 1 })
    await expect.poll(() => messages).toContain('behind x 1')
    return messages.filter((it) => !/^(t\/a\/1\/(telemetry|notice)|behind) /.test(it))
  }
}

describe('a will that may not be published', () => {
  it.each(TOPICS)('on %s is left out, and listed', async (topic) => {
    const harness = await startBroker()
    const seen = await watch(harness)
    const client = new PacketClient(harness.port)
    client.send(packet.connect({ will: { topic, payload: 'gone', retain: true, qos: 1 } }))
    expect(await client.packetsUpTo(1)).toEqual(['connack 0 0'])
    client.send(packet.publish('t/a/1/telemetry', '1', { qos: 1, id: 1 }))
    expect(await client.packetsUpTo(2)).toEqual(['connack 0 0', 'puback 1'])
    client.drop()
    await expect.poll(() => harness.log.letters.length).toBe(1)
    const [letter] = harness.log.letters
    expect(letter).toMatchObject({ stage: 'connect', who: 'a/1', topic })
    expect(letter?.detail).toMatch(/^will left out: /)
    expect(await harness.metric('sluice_broker_wills_left_out_total')).toBe(1)
    expect(await seen()).toEqual([])
    expect(harness.log.records).toHaveLength(1)
    const late = await connectJs(harness.port, { username: 'app', clientId: 'late' })
    await late.client.subscribeAsync(topic.startsWith('$') ? '#' : topic, { qos: 1 })
    expect(late.messages).toEqual([])
  })

  it('is left out of a persistent session, too, and none of a connection before is published in its place', async () => {
    const harness = await startBroker()
    const seen = await watch(harness)
    const first = await logIn(harness.port, { clean: false, will: { topic: 't/a/1/status', payload: 'mine' } })
    first.send(packet.disconnect())
    await first.closed()
    const second = await logIn(harness.port, { clean: false, will: { topic: 'tele/LWT', payload: 'gone' } })
    second.drop()
    expect(await seen()).toEqual([])
  })

  it('is shown at its device, and told on its notice topic', async () => {
    const harness = await startBroker()
    const limits: DeviceLimitRecord[] = []
    harness.registry.presence.recordLimits = async (records) => void limits.push(...records)
    const { messages, client } = await connectJs(harness.port, { clientId: 'other' })
    await client.subscribeAsync('t/a/1/notice', { qos: 0 })
    await logIn(harness.port, { will: { topic: 'tele/LWT', payload: 'gone' } })
    await expect.poll(() => messages.join()).toContain('t/a/1/notice {"code":"will","limit":0,')
    await expect.poll(() => limits.find(({ code }) => code === 'will')).toMatchObject({ device: '1', count: 1 })
  })

  it('is told to MQTT 5 in CONNACK, unless the client takes no packet of that length', async () => {
    const { port } = await startBroker()
    const will = { topic: 'tele/LWT', payload: 'gone' }
    const told = async (properties: object): Promise<string | undefined> => {
      const client = await logIn5(port, { will, properties })
      const [connack] = client.packets as IConnackPacket[]
      return connack?.properties?.userProperties?.['will'] as string | undefined
    }
    expect(await told({})).toBe(
      'left out: no rule of "a/1" allows it to publish to "tele/LWT"; level 1 "tele" is not its own: its topics begin with t/a/1/',
    )
    expect(await told({ maximumPacketSize: 150 })).toBeUndefined()
  })

  it.each([
    ['REFUSED_WILL is close', 'a/1', 'tele/LWT', { REFUSED_WILL: 'close' }],
    ['a rule of the application denies it', 'denied', 'tele/secret/LWT', {}],
    ['it would be a command', 'a/1', 't/a/1/cmd/reset', {}],
  ] as const)('closes the connection where %s', async (_why, username, topic, settings) => {
    const harness = await startBroker(settings)
    harness.registry.applications.set('denied', [
      { effect: 'allow', action: 'publish', topic: 'tele/#' },
      { effect: 'deny', action: 'publish', topic: 'tele/secret/#' },
    ])
    const client = new PacketClient(harness.port)
    client.send(packet.connect({ username, will: { topic, payload: 'gone' } }))
    await client.closed()
    expect(await client.packetsUpTo(1)).toEqual(['connack 0 5'])
    expect(harness.broker.status().clients).toBe(0)
  })
})

describe('clients with a will that may not be published connect and publish', () => {
  const will = { topic: 'tele/plug/LWT', payload: Buffer.from('Offline'), qos: 1, retain: true } as const

  it.each([4, 5] as const)('MQTT.js, version %i', async (protocolVersion) => {
    const { port, log } = await startBroker()
    const options: IClientOptions = { username: 'a/1', password: 's', protocolVersion, will }
    const client = openJs(port, options)
    await client.publishAsync('t/a/1/telemetry', '1', { qos: 1 })
    expect(log.records).toHaveLength(1)
    await client.endAsync(true)
  })

  it.skipIf(!hasMosquitto)('mosquitto_sub (apt-get install mosquitto-clients)', async () => {
    const { port, registry } = await startBroker()
    registry.applications.set('reader', [{ effect: 'allow', action: 'subscribe', topic: 'x/#' }])
    const { client } = await connectJs(port, { username: 'app' })
    await client.publishAsync('x/y', 'kept', { qos: 1, retain: true })
    const login = ['-h', '127.0.0.1', '-p', String(port), '-u', 'reader', '-P', 's', '-t', 'x/#', '-C', '1']
    const lastWill = ['--will-topic', 'homeassistant/status', '--will-payload', 'offline', '--will-retain']
    for (const version of ['mqttv311', 'mqttv5']) {
      const { stdout } = await run('mosquitto_sub', [...login, ...lastWill, '-V', version])
      expect(stdout).toBe('kept\n')
    }
  })

  it.skipIf(!hasPaho)('paho for Python (pip install "paho-mqtt>=2")', async () => {
    const { port, log } = await startBroker()
    const program = `
import sys, paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id='paho', protocol=mqtt.MQTTv311)
client.username_pw_set('a/1', 's')
client.will_set('tele/plug/LWT', 'Offline', qos=1, retain=True)
client.connect('127.0.0.1', int(sys.argv[1]))
client.loop_start()
info = client.publish('t/a/1/telemetry', '1', qos=1)
info.wait_for_publish(10)
print(info.is_published())
client.disconnect()
`
    const { stdout } = await run('python3', ['-c', program, String(port)])
    expect(stdout.trim()).toBe('True')
    expect(log.records).toHaveLength(1)
  })
})
