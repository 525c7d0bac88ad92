import { expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { logIn, packet } from '../../mqtt-bytes.ts'

it('acknowledges telemetry of each QoS when it is in the log', async () => {
  const { port, log } = await startBroker()
  const client = await logIn(port)
  client.send(
    packet.publish('t/a/1/telemetry', 'zero'),
    packet.publish('t/a/1/telemetry', 'one', { qos: 1, id: 7 }),
    packet.publish('t/a/1/telemetry/wind', 'two', { qos: 2, id: 8 }),
    packet.publish('t/a/1/status', 'on', { qos: 1, id: 9, retain: true }),
    packet.pingreq,
  )
  expect(await client.packetsUpTo(5)).toEqual(['connack 0 0', 'pingresp', 'puback 7', 'pubrec 8', 'puback 9'])
  client.send(packet.ack(0x62, 8))
  expect((await client.packetsUpTo(6)).at(-1)).toBe('pubcomp 8')
  expect(log.records.map(({ key, value, headers }) => [key, Buffer.from(value).toString(), headers])).toEqual([
    ['a/1', 'zero', undefined],
    ['a/1', 'one', undefined],
    ['a/1', 'two', { topic: 't/a/1/telemetry/wind' }],
  ])
})
