import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { TestAuthority } from '../../certificates.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { type Way, wayTo } from '../../mqtt/way.ts'
import { hasMosquitto, hasPaho, publishWith } from './listener-clients.ts'

const clients: [string, boolean, string][] = [
  ['mosquitto', hasMosquitto, 'apt-get install mosquitto-clients'],
  ['paho', hasPaho, 'pip install "paho-mqtt>=2"'],
  ['MQTT.js', true, ''],
]

async function brokerWithEverything(clientAuth: 'none' | 'request' | 'require' = 'none') {
  const authority = await TestAuthority.make()
  const ports = { MQTT_WS_PORT: 0, MQTT_WSS_PORT: 0, MQTT_TLS_CLIENT_AUTH: clientAuth }
  return { authority, harness: await startBroker({ ...authority.settings, ...ports }) }
}

describe.each(clients)('%s', (name, isThere, hint) => {
  const publish = publishWith[name]
  const kinds: Way['kind'][] = name === 'mosquitto' ? ['tcp', 'tls'] : ['tcp', 'tls', 'ws', 'wss']

  it.skipIf(!isThere)(`publishes over ${kinds.join(', ')} (${hint})`, async () => {
    const { authority, harness } = await brokerWithEverything()
    for (const kind of kinds) {
      await publish?.(wayTo(harness, kind, kind === 'tls' || kind === 'wss' ? { ca: authority.ca } : {}))
      expect(await harness.metric('sluice_broker_connections_accepted_total', { listener: kind })).toBe(1)
    }
    expect(harness.log.records).toHaveLength(kinds.length)
  })

  it.skipIf(!isThere)(`publishes with a client certificate (${hint})`, async () => {
    const { authority, harness } = await brokerWithEverything('require')
    const certificate = await authority.device('a/1')
    const secured = kinds.filter((kind) => kind === 'tls' || kind === 'wss')
    for (const kind of secured) await publish?.(wayTo(harness, kind, { ca: authority.ca, certificate }))
    expect(harness.log.records).toHaveLength(secured.length)
    for (const kind of secured) {
      await expect(publish?.(wayTo(harness, kind, { ca: authority.ca }))).rejects.toThrow()
    }
    expect(harness.log.records).toHaveLength(secured.length)
  })
})

it('delivers over WebSocket what was published over TLS, in both directions, at length', async () => {
  const { authority, harness } = await brokerWithEverything()
  const { client: device } = await connectJs(wayTo(harness, 'wss', { ca: authority.ca }))
  const { client: app } = await connectJs(wayTo(harness, 'tls', { ca: authority.ca }), { username: 'app' })
  const got: string[] = []
  device.on('message', (_topic, payload) => got.push(payload.toString()))
  await device.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  const texts = Array.from({ length: 300 }, (_, n) => `${n} ${'x'.repeat(n * 100)}`)
  await Promise.all(texts.map((text) => app.publishAsync('t/a/1/cmd/do', text, { qos: 1 })))
  await expect.poll(() => got.length).toBe(300)
  expect(got).toEqual(texts)
  await Promise.all(texts.map((text) => device.publishAsync('t/a/1/telemetry', text, { qos: 1 })))
  expect(harness.log.records.map(({ value }) => Buffer.from(value).toString())).toEqual(texts)
})

it('a device may log in with its certificate alone', async () => {
  const { authority, harness } = await brokerWithEverything('require')
  const certificate = await authority.device('a/1')
  for (const kind of ['tls', 'wss'] as const) {
    const way = wayTo(harness, kind, { ca: authority.ca, certificate })
    const { client: device } = await connectJs(way, { withSecret: false })
    await device.publishAsync('t/a/1/telemetry', '{}', { qos: 1 })
    await device.endAsync()
  }
  expect(harness.log.records).toHaveLength(2)
  const nobody = wayTo(harness, 'tls', { ca: authority.ca, certificate: await authority.device('a/unknown') })
  await expect(connectJs(nobody, { withSecret: false })).rejects.toThrow()
  await expect.poll(() => harness.log.letters.map(({ who }) => who)).toEqual(['a/unknown'])
})
