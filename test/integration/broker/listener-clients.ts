import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import type { Way } from '../../mqtt/way.ts'

const run = promisify(execFile)

/** Whether a program is there and ends with 0. */
export function works(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch (error) {
    return !(error instanceof Error)
  }
}

export const hasMosquitto = works('sh', '-c', 'command -v mosquitto_pub')
export const hasPaho = works('python3', '-c', 'from paho.mqtt.client import CallbackAPIVersion')

const PAHO = `
import sys, json, threading, paho.mqtt.client as mqtt
way = json.loads(sys.argv[1])
web = way['kind'] in ('ws', 'wss')
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id='paho', transport='websockets' if web else 'tcp')
client.username_pw_set('a/1', 's')
if 'ca' in way:
    pair = way.get('certificate', {})
    client.tls_set(way['ca'], pair.get('cert'), pair.get('key'))
refused = threading.Event()
client.on_disconnect = lambda c, u, flags, reason, p: refused.set()
client.connect('localhost', way['port'])
client.loop_start()
info = client.publish('t/a/1/telemetry', '{"by":"paho"}', qos=1)
while not info.is_published() and not refused.wait(0.01): pass
print('published' if info.is_published() else 'refused', flush=True)
client.disconnect()
client.loop_stop()
`

/** Publishes a reading of a/1 with the client named, at QoS 1; rejects when it is not acknowledged. */
export const publishWith: Readonly<Record<string, (way: Way) => Promise<unknown>>> = {
  async mosquitto({ port, ca, certificate }) {
    const login = ['-u', 'a/1', '-P', 's', '-q', '1', '-t', 't/a/1/telemetry', '-m', '{"by":"mosquitto"}']
    const tls = ca === undefined ? [] : ['--cafile', ca]
    const pair = certificate === undefined ? [] : ['--cert', certificate.cert, '--key', certificate.key]
    await run('mosquitto_pub', ['-h', 'localhost', '-p', String(port), ...login, ...tls, ...pair], { timeout: 10_000 })
  },
  async paho(way) {
    const { stdout } = await run('python3', ['-c', PAHO, JSON.stringify(way)], { timeout: 20_000 })
    if (!stdout.includes('published')) throw new Error(stdout)
  },
  async 'MQTT.js'(way) {
    const { client } = await connectJs(way)
    await client.publishAsync('t/a/1/telemetry', '{"by":"MQTT.js"}', { qos: 1 })
    await client.endAsync()
  },
}
