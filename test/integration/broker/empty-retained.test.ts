import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { connectJs } from '../../mqtt/mqtt-js.ts'
import { logIn } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'
import { hasMosquitto } from './listener-clients.ts'

const run = promisify(execFile)
const TOPIC = 't/a/1/telemetry'

it.each([true, false])(
  'an empty message that clears telemetry is acknowledged in order, clean session %s',
  async (clean) => {
    const { port, log, metric } = await startBroker()
    const client = await logIn(port, { clean })
    const clear = (qos: number, id: number) => packet.publish(TOPIC, '', { qos, id, retain: true })
    const reading = (id: number) => packet.publish(TOPIC, `{"n":${id}}`, { qos: 1, id })
    client.send(reading(1), clear(1, 2), clear(2, 3), reading(4), clear(0, 0), reading(5))
    const answers = ['puback 1', 'puback 2', 'pubrec 3', 'puback 4', 'puback 5']
    expect((await client.packetsUpTo(6)).slice(1)).toEqual(answers)
    client.send(packet.pubrel(3))
    expect((await client.packetsUpTo(7)).at(-1)).toBe('pubcomp 3')
    expect(log.records.map(({ value }) => Buffer.from(value).toString())).toEqual(['{"n":1}', '{"n":4}', '{"n":5}'])
    expect(log.letters).toEqual([])
    expect(await metric('sluice_broker_publishes_received_total')).toBe(5)
    expect(await metric('sluice_broker_publishes_acked_total')).toBe(5)
  },
)

it('one without the retain flag is a reading that holds nothing, and is told by the worker', async () => {
  const { port, log } = await startBroker()
  const { client } = await connectJs(port)
  await client.publishAsync(TOPIC, '', { qos: 1 })
  expect(log.records).toHaveLength(1)
})

it('an empty retained will is no reading', async () => {
  const { port, log, metric } = await startBroker()
  const client = await logIn(port, { will: { topic: TOPIC, payload: '', retain: true, qos: 1 } })
  client.drop()
  await expect.poll(() => metric('sluice_broker_connections')).toBe(0)
  expect(log.records).toEqual([])
})

it.skipIf(!hasMosquitto)('mosquitto_pub clears (apt-get install mosquitto-clients)', async () => {
  const { port, log } = await startBroker()
  const login = ['-h', '127.0.0.1', '-p', String(port), '-u', 'a/1', '-P', 's', '-t', TOPIC]
  for (const qos of ['0', '1', '2']) await run('mosquitto_pub', [...login, '-q', qos, '-r', '-n'])
  await run('mosquitto_pub', [...login, '-q', '1', '-m', '1'])
  expect(log.records).toHaveLength(1)
  expect(log.letters).toEqual([])
})
