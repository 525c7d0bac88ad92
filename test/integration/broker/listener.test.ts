import { describe, expect, it } from 'vitest'
import { EVERYTHING, startBroker } from '../../broker-harness.ts'
import { PacketClient } from '../../mqtt/packet-client.ts'
import { frame, packet, sized } from '../../mqtt/packets.ts'

const anonymous = frame(0x10, sized('MQTT'), Buffer.from([4, 2, 0, 0]), sized('c'))

describe('the listener', () => {
  it('says which port is in use', async () => {
    const { port } = await startBroker()
    const message = expect.stringContaining(String(port)) as string
    await expect(startBroker({ MQTT_PORT: port })).rejects.toMatchObject({ code: 'port_in_use', message })
  })

  it('says which address cannot be listened on', async () => {
    await expect(startBroker({ BIND_ADDRESS: '192.0.2.1' })).rejects.toMatchObject({ code: 'setting_invalid' })
  })

  it.each(['0.0.0.0', '::', '192.168.1.2'])('refuses anonymous clients on %s', async (BIND_ADDRESS) => {
    const error = { code: 'setting_invalid', message: expect.stringContaining('MQTT_ANONYMOUS_AS') as string }
    await expect(startBroker({ BIND_ADDRESS, MQTT_ANONYMOUS_AS: 'lab' })).rejects.toMatchObject(error)
  })

  it('lets clients without username be an application once it exists', async () => {
    const { port, registry } = await startBroker({ MQTT_ANONYMOUS_AS: 'lab' })
    const early = new PacketClient(port)
    early.send(anonymous)
    await early.closed()
    expect(early.texts).toEqual(['connack 0 5'])
    registry.applications.set('lab', EVERYTHING)
    const client = new PacketClient(port)
    client.send(anonymous, packet.publish('t/a/1/telemetry', '{}', { qos: 1, id: 2 }))
    expect(await client.packetsUpTo(2)).toEqual(['connack 0 0', 'puback 2'])
  })
})
