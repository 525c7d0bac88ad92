import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { logIn, packet, RawClient } from '../../mqtt-bytes.ts'

const VALID = [
  packet.connect(),
  packet.publish('t/a/1/telemetry', '{"x":1}', { qos: 1, id: 1 }),
  packet.publish('t/a/1/telemetry', '{"x":1}', { qos: 2, id: 2 }),
  packet.publish('t/a/1/status', 'on', { qos: 2, id: 3, retain: true }),
  packet.publish('t/b/1/telemetry', '{"x":1}', { qos: 1, id: 4 }),
  packet.ack(0x62, 2),
  packet.ack(0x62, 3),
  packet.subscribe(5, ['t/a/1/cmd/#', 1], ['t/a/1/notice', 2]),
  packet.unsubscribe(6, 't/a/1/cmd/#'),
  packet.pingreq,
]

const bytes = fc.uint8Array({ maxLength: 200 }).map((it) => Buffer.from(it))
const mutated = fc
  .tuple(fc.constantFrom(...VALID), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }), fc.nat())
  .map(([original, changes, cut]) => {
    const copy = Buffer.from(original)
    for (const [at, byte] of changes) copy[at % copy.length] = byte
    return cut % 5 === 0 ? copy.subarray(0, cut % copy.length) : copy
  })
const stream = fc.array(
  fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...VALID) }, { weight: 2, arbitrary: mutated }, bytes),
  {
    minLength: 1,
    maxLength: 15,
  },
)

describe('hostile bytes', () => {
  it.each([true, false])(
    'neither crash the broker nor leave anything behind (logged in: %s)',
    async (isLoggedIn) => {
      const { port, broker, log, metric } = await startBroker()
      const witness = await logIn(port, { username: 'a/2' })
      await fc.assert(
        fc.asyncProperty(stream, async (pieces) => {
          const client = isLoggedIn ? await logIn(port) : new RawClient(port)
          for (const piece of pieces) client.socket.write(piece)
          client.socket.end()
          await client.closed()
        }),
        { numRuns: 300 },
      )
      await expect.poll(() => broker.status(), { timeout: 10_000 }).toMatchObject({ clients: 1, inFlight: 0 })
      const count = (what: string) => metric(`sluice_broker_publishes_${what}_total`)
      expect(await count('received')).toBe(
        (await count('acked')) + (await count('refused')) + (await count('abandoned')),
      )
      expect(await metric('sluice_broker_held_bytes')).toBe(0)
      expect(await metric('sluice_broker_principals')).toBe(1)
      expect(log.records.every(({ key }) => key === 'a/1')).toBe(true)
      witness.send(packet.publish('t/a/2/telemetry', 'alive', { qos: 1, id: 9 }))
      expect((await witness.packetsUpTo(2)).at(-1)).toBe('puback 9')
    },
    60_000,
  )
})
