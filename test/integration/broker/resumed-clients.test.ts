import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import mqtt from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import { startBroker, type FakeLog } from '../../broker-harness.ts'
import { cuttingProxy } from './cutting-proxy.ts'
import { hasPaho } from './listener-clients.ts'

const run = promisify(execFile)
/** As many as are remembered at QoS 1, and all sent at once. */
const MESSAGES = 60
/** A repeat is known by the connection directly before: that must have seen all of them. */
const LAST = `{"n":${MESSAGES - 1}}`
/** Bytes of answers that pass on the connections that are cut: within acknowledgements, and between them. */
const CUTS = [2, 4, 6, 40, 37, 0, 80, 3]

/** It keeps what it has not been told of, and repeats it on each of its connections. */
const PAHO = `
import sys, time, paho.mqtt.client as mqtt
port, qos, count = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id='paho', protocol=mqtt.MQTTv311, clean_session=False)
client.max_inflight_messages_set(0)
client.username_pw_set('a/1', 's')
client.connect('127.0.0.1', port)
infos = [client.publish('t/a/1/telemetry', '{"n":%d}' % n, qos=qos) for n in range(count)]
deadline = time.monotonic() + 60
while not all(info.is_published() for info in infos) and time.monotonic() < deadline:
    if client.loop(0.05) != mqtt.MQTT_ERR_SUCCESS:
        try: client.reconnect()
        except OSError: pass
print(sum(info.is_published() for info in infos))
`

/** How many readings there are of each message: one for each receive time. */
function readings(log: FakeLog): number[] {
  const stamps = new Map<number, Set<string>>()
  for (const { value, ms, ns } of log.records) {
    const { n } = JSON.parse(Buffer.from(value).toString()) as { n: number }
    stamps.set(n, (stamps.get(n) ?? new Set()).add(`${ms}.${ns}`))
  }
  return Array.from({ length: MESSAGES }, (_, n) => stamps.get(n)?.size ?? 0)
}

const ONCE = Array.from({ length: MESSAGES }, () => 1)

it('MQTT.js at QoS 2 over connections that break: each message is stored once, although it repeats without DUP', async () => {
  const { port, log } = await startBroker()
  const proxy = await cuttingProxy(port, CUTS)
  const client = mqtt.connect({
    ...{ port: proxy.port, host: '127.0.0.1', username: 'a/1', password: 's' },
    ...{ clientId: 'js', clean: false, reconnectPeriod: 20 },
  })
  onTestFinished(() => client.endAsync(true))
  const sent = Array.from({ length: MESSAGES }, (_, n) =>
    client.publishAsync('t/a/1/telemetry', `{"n":${n}}`, { qos: 2 }),
  )
  await Promise.all(sent)
  expect(proxy.cuts()).toBe(CUTS.length)
  expect(readings(log)).toEqual(ONCE)
})

it.skipIf(!hasPaho).each([1, 2])(
  'paho for Python at QoS %i over connections that break: each message is stored once (pip install "paho-mqtt>=2")',
  async (qos) => {
    const { port, log } = await startBroker()
    const proxy = await cuttingProxy(port, CUTS, LAST)
    const { stdout } = await run('python3', ['-c', PAHO, String(proxy.port), String(qos), String(MESSAGES)])
    expect(stdout.trim()).toBe(String(MESSAGES))
    expect(proxy.cuts()).toBe(CUTS.length)
    expect(readings(log)).toEqual(ONCE)
  },
)
