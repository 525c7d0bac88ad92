import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import mqtt, { type IClientOptions, type IPublishPacket } from 'mqtt'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { PATIENCE } from '../../patience.ts'
import { hasMosquitto, hasPaho } from './listener-clients.ts'

const run = promisify(execFile)

/** Publishes a reading and a refused message, subscribes, gets its own message with user properties; says what it saw. */
const PAHO = `
import json, sys, paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes
seen = {'acks': []}
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id='', protocol=mqtt.MQTTv5)
client.username_pw_set('app', 's')
def connected(c, u, flags, reason, properties):
    seen['connack'] = str(reason)
    seen['assigned'] = hasattr(properties, 'AssignedClientIdentifier')
    seen['shared'] = properties.SharedSubscriptionAvailable
    c.subscribe([('x/#', mqtt.SubscribeOptions(qos=1)), ('$share/g/x', mqtt.SubscribeOptions(qos=1))])
def subscribed(c, u, mid, reasons, properties):
    seen['suback'] = [str(r) for r in reasons]
    p = Properties(PacketTypes.PUBLISH)
    p.UserProperty = [('b', '2'), ('a', '1'), ('b', '3')]
    p.ContentType = 'text/plain'
    c.publish('t/a/1/telemetry', '{"x":1}', qos=1)
    c.publish('$SYS/x', 'y', qos=1)
    c.publish('x/1', 'hello', qos=1, properties=p)
def published(c, u, mid, reason, properties):
    seen['acks'].append(str(reason))
def message(c, u, m):
    seen['message'] = [m.topic, m.payload.decode(), m.properties.UserProperty, m.properties.ContentType]
    c.disconnect()
client.on_connect, client.on_subscribe, client.on_publish, client.on_message = connected, subscribed, published, message
client.connect('127.0.0.1', int(sys.argv[1]))
client.loop_forever()
print(json.dumps(seen))
`

async function connectMqttJs(port: number, options: IClientOptions = {}) {
  const client = mqtt.connect({
    port,
    protocolVersion: 5,
    username: 'app',
    password: 's',
    reconnectPeriod: 0,
    ...options,
  })
  onTestFinished(async () => {
    await client.endAsync(true)
  })
  const connack = await new Promise<Parameters<Parameters<typeof client.on<'connect'>>[1]>[0]>((resolve, reject) => {
    client.once('connect', resolve)
    client.once('error', reject)
  })
  return { client, connack }
}

describe('clients of MQTT 5', () => {
  it.skipIf(!hasPaho)('paho for Python (pip install "paho-mqtt>=2")', async () => {
    const { port, log } = await startBroker()
    const { stdout } = await run('python3', ['-c', PAHO, String(port)], PATIENCE)
    expect(JSON.parse(stdout)).toEqual({
      connack: 'Success',
      assigned: true,
      shared: 1,
      suback: ['Granted QoS 1', 'Granted QoS 1'],
      acks: ['Success', 'Topic name invalid', 'Success'],
      message: [
        'x/1',
        'hello',
        [
          ['b', '2'],
          ['a', '1'],
          ['b', '3'],
        ],
        'text/plain',
      ],
    })
    expect(log.records.map(({ value }) => Buffer.from(value).toString())).toEqual(['{"x":1}'])
  })

  it.skipIf(!hasMosquitto)('mosquitto_pub and mosquitto_sub (apt-get install mosquitto-clients)', async () => {
    const { port, log } = await startBroker()
    const common = ['-h', '127.0.0.1', '-p', String(port), '-P', 's', '-V', '5', '-q', '1']
    const subscriber = run('mosquitto_sub', [
      ...common,
      '-u',
      'app',
      '-t',
      'x/#',
      '-C',
      '1',
      '-W',
      '10',
      '-F',
      '%t %p %P %C',
    ])
    const published = async () => {
      const properties = ['-D', 'publish', 'user-property', 'k', 'v', '-D', 'publish', 'content-type', 'c']
      await run('mosquitto_pub', [...common, '-u', 'app', '-t', 'x/1', '-m', 'hi', ...properties])
    }
    const { stdout } = await Promise.race([
      subscriber,
      (async () => {
        for (;;) await published()
      })(),
    ])
    expect(stdout.trim()).toBe('x/1 hi k:v c')
    await run('mosquitto_pub', [...common, '-u', 'a/1', '-t', 't/a/1/telemetry', '-m', '{"y":2}'])
    expect(log.records.map(({ value }) => Buffer.from(value).toString())).toEqual(['{"y":2}'])
  })

  it('MQTT.js is told the limits, and gets what was published with its properties', async () => {
    const { port } = await startBroker()
    const { client, connack } = await connectMqttJs(port, { clientId: 'js', keepalive: 60 })
    expect(connack.properties).toMatchObject({
      receiveMaximum: 64,
      maximumPacketSize: 1_048_576,
      topicAliasMaximum: 16,
      subscriptionIdentifiersAvailable: false,
      sharedSubscriptionAvailable: true,
    })
    const messages: IPublishPacket[] = []
    const arrived = new Promise<void>((resolve) => {
      client.on('message', (_topic, _payload, packet) => {
        messages.push(packet)
        if (messages.length === 3) resolve()
      })
    })
    await client.subscribeAsync('x/#', { qos: 2 })
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 100,
      responseTopic: 'back',
      correlationData: Buffer.from([1, 2]),
      userProperties: { k: ['1', '2'] },
      contentType: 'c',
    }
    for (const qos of [0, 1, 2] as const) await client.publishAsync('x/1', 'text', { qos, properties })
    await arrived
    for (const packet of messages) expect(packet.properties).toEqual(properties)
    expect(messages.map(({ qos }) => qos).toSorted()).toEqual([0, 1, 2])
  })

  it('MQTT.js uses topic aliases both ways', async () => {
    const { port, log } = await startBroker()
    const { client } = await connectMqttJs(port, {
      autoUseTopicAlias: true,
      autoAssignTopicAlias: true,
      properties: { topicAliasMaximum: 5 },
    })
    const topics: string[] = []
    const arrived = new Promise<void>((resolve) => {
      client.on('message', (topic) => {
        topics.push(topic)
        if (topics.length === 4) resolve()
      })
    })
    await client.subscribeAsync('x/#', { qos: 1 })
    for (let turn = 0; turn < 4; turn += 1) {
      await client.publishAsync(`x/${turn % 2}`, 'm', { qos: 1 })
      await client.publishAsync('t/a/1/telemetry', `{"n":${turn}}`, { qos: 1 })
    }
    await arrived
    expect(topics).toEqual(['x/0', 'x/1', 'x/0', 'x/1'])
    expect(log.records.map(({ key, value }) => `${key} ${Buffer.from(value).toString()}`)).toEqual(
      [0, 1, 2, 3].map((turn) => `a/1 {"n":${turn}}`),
    )
  })
})
