import { describe, expect, it, vi } from 'vitest'
import { startBroker, type Harness } from '../../broker-harness.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { logIn, PacketClient } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'

const TELEMETRY = 't/a/1/telemetry'
const messages = (count: number, from = 1, qos = 1): Buffer[] =>
  Array.from({ length: count }, (_, index) =>
    packet.publish(TELEMETRY, String(from + index), { qos, id: from + index }),
  )

async function inBroker({ metric }: Harness, what: string, atLeast: number): Promise<void> {
  await expect.poll(() => metric(what)).toBeGreaterThanOrEqual(atLeast)
}

describe('while the log makes no progress', () => {
  it('nobody is acknowledged or disconnected, PINGs are answered, and all is acknowledged behind it', async () => {
    const harness = await startBroker()
    const { port, log, broker } = harness
    const clients = await Promise.all(
      Array.from({ length: 40 }, (_, index) => logIn(port, { clientId: `c${index}`, keepalive: 1 })),
    )
    log.stall()
    // Beyond the 64 in flight: the rest and the PINGREQ behind it are held, and it is answered all the same.
    for (const client of clients) client.send(...messages(70), packet.pingreq)
    for (const client of clients) expect(await client.packetsUpTo(2)).toEqual(['connack 0 0', 'pingresp'])
    expect(broker.status()).toMatchObject({ clients: 40, inFlight: 40 * 64, overloaded: false })
    log.resume()
    for (const client of clients) {
      const acks = Array.from({ length: 70 }, (_, index) => `puback ${index + 1}`)
      expect((await client.packetsUpTo(72)).slice(2)).toEqual(acks)
    }
    expect(broker.status().inFlight).toBe(0)
    expect(log.records).toHaveLength(40 * 70)
  })

  it('a keepalive that passes while nothing is read closes nobody, and one that passes in silence does', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { port, log, broker, metric } = await startBroker()
    const busy = await logIn(port, { clientId: 'busy', keepalive: 2 })
    const silent = await logIn(port, { clientId: 'silent', keepalive: 2 })
    const patient = await logIn(port, { clientId: 'patient', keepalive: 0 })
    log.stall()
    busy.send(...messages(65))
    await expect.poll(() => broker.status().inFlight).toBe(64)
    await vi.advanceTimersByTimeAsync(30_000)
    await silent.closed()
    expect([busy.isClosed, patient.isClosed]).toEqual([false, false])
    expect(await metric('sluice_broker_keepalive_timeouts_total')).toBe(1)
    log.resume()
    await busy.packetsUpTo(66)
    await vi.advanceTimersByTimeAsync(30_000)
    await busy.closed()
    vi.useRealTimers()
  })

  it('over the caps sockets are not read, newcomers get 3, some are shed, and what was taken is not lost', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    const harness = await startBroker({ MAX_IN_FLIGHT_RECORDS: 200 })
    const { port, log, broker, metric } = harness
    const clients = await Promise.all(Array.from({ length: 100 }, (_, index) => logIn(port, { clientId: `c${index}` })))
    log.stall()
    for (const client of clients) client.send(...messages(20), packet.pingreq)
    await inBroker(harness, 'sluice_broker_waiting_connections', 90)
    expect(broker.status()).toMatchObject({ inFlight: 200, overloaded: false })
    // A connection that waits for room has its PINGs answered.
    for (const client of clients) expect((await client.packetsUpTo(2)).at(-1)).toBe('pingresp')

    await vi.advanceTimersByTimeAsync(2_000)
    expect(broker.status().overloaded).toBe(true)
    const newcomer = new PacketClient(port)
    newcomer.send(packet.connect({ clientId: 'new' }))
    await newcomer.closed()
    expect(newcomer.texts).toEqual(['connack 0 3'])
    expect(await metric('sluice_broker_connections_shed_total')).toBe(0)

    await vi.advanceTimersByTimeAsync(14_000)
    const shed = await metric('sluice_broker_connections_shed_total')
    expect(shed).toBeGreaterThanOrEqual(3)
    expect(shed).toBeLessThanOrEqual(7)
    await expect.poll(() => clients.filter((client) => client.isClosed).length).toBe(shed)
    vi.useRealTimers()

    log.resume()
    const left = clients.filter((client) => !client.isClosed)
    for (const client of left) await client.packetsUpTo(22)
    expect(broker.status()).toMatchObject({ inFlight: 0, overloaded: false })
    const count = (what: string) => metric(`sluice_broker_publishes_${what}_total`)
    expect(await count('received')).toBe((await count('acked')) + (await count('abandoned')))
    expect(await count('received')).toBe(log.records.length)
    await logIn(port, { clientId: 'new' })
  })

  it('QoS 0 is shed from half of the caps on, and counted, while QoS 1 goes on', async () => {
    const harness = await startBroker({ MAX_IN_FLIGHT_RECORDS: 200 })
    const { port, log, metric } = harness
    const client = await logIn(port)
    log.stall()
    client.send(...messages(150, 1, 0), ...messages(60), packet.pingreq)
    await client.packetsUpTo(2)
    expect(await metric('sluice_broker_shed_total', { kind: 'qos0', reason: 'node_full' })).toBe(50)
    log.resume()
    await client.packetsUpTo(62)
    expect(log.records).toHaveLength(160)
  })

  it('a client that is gone is abandoned, and its records are kept', async () => {
    const { port, log, broker, metric } = await startBroker()
    const client = await logIn(port)
    log.stall()
    client.send(...messages(5))
    await expect.poll(() => broker.status().inFlight).toBe(5)
    client.socket.destroy()
    // Its answers are kept for it for two seconds: it may have closed only its own side.
    await expect.poll(() => broker.status().clients).toBe(0)
    expect(broker.status().inFlight).toBe(5)
    log.resume()
    await expect.poll(() => broker.status().inFlight).toBe(0)
    expect(await metric('sluice_broker_publishes_abandoned_total')).toBe(5)
    expect(log.records).toHaveLength(5)
  })
})

describe('while appends fail', () => {
  it('nothing is acknowledged, and the first acknowledgement comes soon after the log works again', async () => {
    const { port, log, broker, metric } = await startBroker()
    const client = await logIn(port)
    let isDown = true
    log.before = () => (isDown ? Promise.reject(new SluiceError('disk_full', 'no space')) : undefined)
    client.send(...messages(10))
    await expect.poll(() => metric('sluice_broker_append_failures_total')).toBeGreaterThan(4)
    expect(broker.status().inFlight).toBe(10)
    expect(broker.status().appendingMs).toBeGreaterThan(0)
    expect(client.packets).toHaveLength(1)
    isDown = false
    await client.packetsUpTo(11)
    expect(log.records.map(({ value }) => Buffer.from(value).toString())).toEqual(
      Array.from({ length: 10 }, (_, index) => String(index + 1)),
    )
    expect(broker.status().appendingMs).toBe(0)
  })
})

describe('closing', () => {
  it('acknowledges what is in flight, and takes nothing more', async () => {
    const { port, log, broker } = await startBroker()
    const client = await logIn(port)
    log.stall()
    client.send(...messages(10))
    await expect.poll(() => broker.status().inFlight).toBe(10)
    const closed = broker.close()
    client.send(packet.publish(TELEMETRY, 'late', { qos: 1, id: 99 }))
    log.resume()
    await closed
    await client.closed()
    expect(client.texts.slice(1)).toEqual(Array.from({ length: 10 }, (_, index) => `puback ${index + 1}`))
    expect(log.records).toHaveLength(10)
    const late = new PacketClient(port)
    await late.closed()
    expect(late.packets).toEqual([])
  })
})
