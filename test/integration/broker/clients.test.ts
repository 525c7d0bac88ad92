import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import mqtt from 'mqtt'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { hasMosquitto, hasPaho } from './listener-clients.ts'

const run = promisify(execFile)

const PAHO = `
import sys, paho.mqtt.client as mqtt
port, qos = int(sys.argv[1]), int(sys.argv[2])
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id='paho', protocol=mqtt.MQTTv311)
client.username_pw_set('a/1', 's')
client.connect('127.0.0.1', port)
client.loop_start()
infos = [client.publish('t/a/1/telemetry', '{"n":%d}' % n, qos=qos) for n in range(100)]
for info in infos: info.wait_for_publish(10)
print(sum(info.is_published() for info in infos))
client.disconnect()
client.loop_stop()
`

describe.each([0, 1, 2] as const)('at QoS %i', (qos) => {
  it('MQTT.js publishes telemetry, and gets what it subscribes to', async () => {
    const { port, log } = await startBroker()
    const login = { port, host: '127.0.0.1', password: 's', reconnectPeriod: 0 }
    const device = await mqtt.connectAsync({ ...login, username: 'a/1' })
    onTestFinished(() => device.endAsync(true))
    const app = await mqtt.connectAsync({ ...login, username: 'app' })
    onTestFinished(() => app.endAsync(true))
    await device.subscribeAsync('t/a/1/cmd/#', { qos })
    const commanded = new Promise((resolve) =>
      device.once('message', (topic, payload) => resolve([topic, payload.toString()])),
    )
    await app.publishAsync('t/a/1/cmd/reboot', 'now', { qos })
    expect(await commanded).toEqual(['t/a/1/cmd/reboot', 'now'])
    await Promise.all(Array.from({ length: 500 }, (_, n) => device.publishAsync('t/a/1/telemetry', String(n), { qos })))
    await expect.poll(() => log.records.length).toBe(500)
    expect(log.records.map(({ value }) => Number(Buffer.from(value)))).toEqual(Array.from({ length: 500 }, (_, n) => n))
  })

  it.skipIf(!hasMosquitto)(
    'mosquitto_pub and mosquitto_sub publish and subscribe (apt-get install mosquitto-clients)',
    async () => {
      const { port, log } = await startBroker()
      const address = ['-h', '127.0.0.1', '-p', String(port), '-P', 's', '-q', String(qos), '-V', 'mqttv311']
      await run('mosquitto_pub', [...address, '-u', 'a/1', '-t', 't/a/1/telemetry', '-m', '{"temperature":21.5}'])
      await run('mosquitto_pub', [...address, '-u', 'a/1', '-t', 't/a/1/status', '-m', 'on', '-r'])
      const { stdout } = await run('mosquitto_sub', [...address, '-u', 'app', '-t', 't/+/+/status', '-C', '1', '-v'])
      expect(stdout).toBe('t/a/1/status on\n')
      await expect
        .poll(() => log.records.map(({ value }) => Buffer.from(value).toString()))
        .toEqual(['{"temperature":21.5}'])
    },
  )

  it.skipIf(!hasPaho)('paho for Python publishes (pip install "paho-mqtt>=2")', async () => {
    const { port, log } = await startBroker()
    const { stdout } = await run('python3', ['-c', PAHO, String(port), String(qos)])
    expect(stdout.trim()).toBe('100')
    await expect.poll(() => log.records.length).toBe(100)
  })
})
