import { expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { describe, logIn, packet } from '../../mqtt-bytes.ts'

it.each([true, false])('a retained message of QoS 2 is taken to its end, clean session %s', async (clean) => {
  const { port } = await startBroker()
  const device = await logIn(port)
  device.send(packet.publish('t/a/1/status', 'on', { qos: 2, id: 3, retain: true }), packet.ack(0x62, 3))
  await device.packetsUpTo(3)

  const app = await logIn(port, { username: 'app', clientId: 'app', clean })
  app.send(packet.subscribe(1, ['t/a/1/status', 2]))
  expect(await app.packetsUpTo(3)).toEqual(['connack 0 0', 'suback 1 2', 'publish t/a/1/status on q2 retained'])
  const message = app.packets[2] ?? Buffer.alloc(0)
  const id = message.readUInt16BE(4 + message.readUInt16BE(2))
  app.send(packet.ack(0x50, id))
  await app.packetsUpTo(4)
  app.send(packet.ack(0x70, id), packet.pingreq)
  expect((await app.packetsUpTo(5)).slice(3)).toEqual([`pubrel ${id}`, 'pingresp'])

  // And the next one comes.
  device.send(packet.publish('t/a/1/status', 'off', { qos: 1, id: 4 }))
  expect((await app.packetsUpTo(6)).at(-1)).toBe('publish t/a/1/status off q1')
  app.send(packet.ack(0x40, app.packets[5]?.readUInt16BE(16) ?? 0), packet.pingreq)
  expect((await app.packetsUpTo(7)).map((it) => it.split(' ')[0]).at(-1)).toBe('pingresp')
  expect(app.packets.map(describe)).toHaveLength(7)
})
