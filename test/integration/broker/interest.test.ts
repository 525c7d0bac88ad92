import { expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { logIn } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'

const publishes = (names: readonly string[]): string[] => names.filter((name) => name.startsWith('publish'))

it('telemetry reaches the subscribers it matches at QoS 0, behind the append, and SUBACK says so', async () => {
  const { port, log, metric } = await startBroker()
  const app = await logIn(port, { username: 'app' })
  app.send(packet.subscribe(1, ['t/+/+/telemetry', 2], ['t/a/1/#', 1], ['t/a/+/telemetry/#', 1], ['house', 1]))
  expect((await app.packetsUpTo(2)).at(-1)).toBe('suback 1 0 1 0 1')
  const device = await logIn(port, { keepalive: 60 })
  log.stall()
  device.send(
    packet.publish('t/a/1/telemetry/wind', '1', { qos: 1, id: 1 }),
    packet.publish('t/b/1/telemetry', 'no', { qos: 1, id: 2 }),
  )
  await expect.poll(() => log.appends).toBe(1)
  app.send(packet.pingreq)
  expect(publishes(await app.packetsUpTo(3))).toEqual([])
  log.resume()
  expect(publishes(await app.packetsUpTo(4))).toEqual(['publish t/a/1/telemetry/wind 1 q0'])
  app.send(packet.unsubscribe(2, 't/+/+/telemetry', 't/a/1/#', 't/a/+/telemetry/#'))
  await app.until(() => app.packets.some(({ cmd }) => cmd === 'unsuback'))
  const before = await metric('sluice_broker_copies_total')
  expect(before).toBe(1)
  device.send(packet.publish('t/a/1/telemetry/wind', '2', { qos: 1, id: 3 }))
  await device.packetsUpTo(4)
  expect(await metric('sluice_broker_copies_total')).toBe(before)
})

it('devices get no telemetry, and who may subscribe to all gets what is not denied', async () => {
  const { port, registry } = await startBroker()
  registry.applications.set('most', [
    { effect: 'allow', action: 'subscribe', topic: '#' },
    { effect: 'deny', action: 'subscribe', topic: 't/b/#' },
  ])
  const app = await logIn(port, { username: 'most' })
  app.send(packet.subscribe(1, ['#', 1]))
  expect((await app.packetsUpTo(2)).at(-1)).toBe('suback 1 1')
  for (const username of ['b/1', 'a/1']) {
    const device = await logIn(port, { username, keepalive: 60 })
    device.send(packet.publish(`t/${username}/telemetry`, username, { qos: 1 }))
    await device.packetsUpTo(2)
  }
  expect(publishes(await app.packetsUpTo(3))).toEqual(['publish t/a/1/telemetry a/1 q0'])
})

it('a subscriber that does not read loses copies, which are counted, and holds up nobody', async () => {
  const { port, metric } = await startBroker()
  const app = await logIn(port, { username: 'app' })
  app.send(packet.subscribe(1, ['t/+/+/telemetry', 0]))
  await app.packetsUpTo(2)
  app.socket.pause()
  const device = await logIn(port, { keepalive: 60 })
  const payload = Buffer.alloc(32_000, 'x')
  let sent = 0
  await expect
    .poll(async () => {
      for (let index = 0; index < 40; index += 1)
        device.send(packet.publish('t/a/1/telemetry', payload, { qos: 1, id: index + 1 }))
      sent += 40
      await device.packetsUpTo(1 + sent)
      return metric('sluice_broker_shed_total', { kind: 'copy' })
    })
    .toBeGreaterThan(0)
})
