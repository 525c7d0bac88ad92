import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { logIn, PacketClient } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'

describe('a broker that stops', () => {
  it('takes nobody new, sends its clients away little by little and serves the others meanwhile', async () => {
    const harness = await startBroker({ DRAIN_SECONDS: 5 })
    const { broker, port } = harness
    // 200 leave in a second: in ten slices.
    const clients = await Promise.all(Array.from({ length: 200 }, (_, n) => logIn(port, { clientId: `c${n}` })))
    const served = new Set<PacketClient>()
    const counts: number[] = []
    for (const client of clients) {
      client.socket.on('close', () => {
        const open = clients.filter((one) => !one.isClosed)
        counts.push(open.length)
        open.at(-1)?.send(packet.publish('t/a/1/telemetry', '{}', { qos: 1, id: counts.length }))
        if (open.length > 0) served.add(open.at(-1) as PacketClient)
      })
    }
    expect(broker.status().draining).toBe(false)
    const closing = broker.close()
    expect(broker.status().draining).toBe(true)
    await clients[0]?.closed()
    const late = new PacketClient(port)
    await late.closed()
    expect(late.packets).toEqual([])
    await closing
    await Promise.all(clients.map((client) => client.closed()))
    // While some were gone already, others got their messages into the log and acknowledged.
    const acked = [...served].flatMap((client) => client.packets.slice(1)).length
    expect(acked).toBeGreaterThan(10)
    expect(harness.log.records.length).toBeGreaterThanOrEqual(acked)
  })

  it('ends a login that is not finished without refusing it, so that the client goes elsewhere', async () => {
    const { broker, port, registry } = await startBroker({ DRAIN_SECONDS: 0 })
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<undefined>()
    registry.verifySecret = () => {
      asked.resolve()
      return answer.promise
    }
    const client = new PacketClient(port)
    client.send(packet.connect())
    await asked.promise
    const closing = broker.close()
    await client.closed()
    expect(client.packets).toEqual([])
    answer.resolve(undefined)
    await closing
  })

  it('is quick when it has few clients, and when it shall not drain', async () => {
    const patient = await startBroker({ DRAIN_SECONDS: 5 })
    const hasty = await startBroker({ DRAIN_SECONDS: 0 })
    await Promise.all(Array.from({ length: 10 }, (_, n) => logIn(patient.port, { clientId: `c${n}` })))
    const many = await Promise.all(Array.from({ length: 100 }, (_, n) => logIn(hasty.port, { clientId: `c${n}` })))
    await Promise.all([patient.broker.close(), hasty.broker.close()])
    await Promise.all(many.map((client) => client.closed()))
  })
})

describe('several brokers on one port', () => {
  it('share its clients', async () => {
    const first = await startBroker({ MQTT_REUSE_PORT: 'on' })
    const second = await startBroker({ MQTT_REUSE_PORT: 'on', MQTT_PORT: first.port })
    await Promise.all(Array.from({ length: 60 }, (_, n) => logIn(first.port, { clientId: `c${n}` })))
    const clients = [first, second].map(({ broker }) => broker.status().clients)
    expect(Math.min(...clients)).toBeGreaterThan(0)
    expect(clients.reduce((sum, count) => sum + count)).toBe(60)
    await expect(startBroker({ MQTT_PORT: first.port })).rejects.toMatchObject({ code: 'port_in_use' })
  })
})
