import { expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { logIn } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'

it.each([true, false])('a retained message of QoS 2 is taken to its end, clean session %s', async (clean) => {
  const { port } = await startBroker()
  const device = await logIn(port)
  device.send(packet.publish('t/a/1/status', 'on', { qos: 2, id: 3, retain: true }), packet.pubrel(3))
  await device.packetsUpTo(3)

  const app = await logIn(port, { username: 'app', clientId: 'app', clean })
  app.send(packet.subscribe(1, ['t/a/1/status', 2]))
  expect(await app.packetsUpTo(3)).toEqual(['connack 0 0', 'suback 1 2', 'publish t/a/1/status on q2 retained'])
  const id = app.packets[2]?.messageId ?? 0
  app.send(packet.pubrec(id))
  await app.packetsUpTo(4)
  app.send(packet.pubcomp(id), packet.pingreq)
  expect((await app.packetsUpTo(5)).slice(3)).toEqual([`pubrel ${id}`, 'pingresp'])

  // And the next one comes.
  device.send(packet.publish('t/a/1/status', 'off', { qos: 1, id: 4 }))
  expect((await app.packetsUpTo(6)).at(-1)).toBe('publish t/a/1/status off q1')
  app.send(packet.puback(app.packets[5]?.messageId ?? 0), packet.pingreq)
  expect((await app.packetsUpTo(7)).map((it) => it.split(' ')[0]).at(-1)).toBe('pingresp')
  expect(app.texts).toHaveLength(7)
})
