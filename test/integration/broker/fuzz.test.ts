import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { logIn, logIn5, PacketClient } from '../../mqtt/packet-client.ts'
import { frame, packet, packet5, u16 } from '../../mqtt/packets.ts'

const VALID = [
  packet.connect(),
  packet.publish('t/a/1/telemetry', '{"x":1}', { qos: 1, id: 1 }),
  packet.publish('t/a/1/telemetry', '{"x":1}', { qos: 2, id: 2 }),
  packet.publish('t/a/1/status', 'on', { qos: 2, id: 3, retain: true }),
  packet.publish('t/b/1/telemetry', '{"x":1}', { qos: 1, id: 4 }),
  packet.pubrel(2),
  packet.pubrel(3),
  packet.subscribe(5, ['t/a/1/cmd/#', 1], ['t/a/1/notice', 2]),
  packet.unsubscribe(6, 't/a/1/cmd/#'),
  packet.pingreq,
]

const properties = {
  userProperties: { k: 'v' },
  payloadFormatIndicator: true,
  messageExpiryInterval: 9,
  topicAlias: 3,
}

const VALID5 = [
  packet5.connect({ properties: { sessionExpiryInterval: 9, receiveMaximum: 2, topicAliasMaximum: 3 } }),
  packet5.publish('t/a/1/telemetry', '{"x":1}', { qos: 1, id: 1, properties }),
  packet5.publish('', '{"x":2}', { qos: 2, id: 2, properties }),
  packet5.publish('t/a/1/status', 'on', { qos: 2, id: 3, retain: true, properties }),
  packet5.publish('t/b/1/telemetry', '{"x":1}', { qos: 2, id: 4 }),
  packet5.pubrel(2),
  frame(0x62, u16(3), 0, 0),
  frame(0x40, u16(1), 0x80),
  frame(0x50, u16(1), 0x97, 0),
  packet5.subscribe(5, ['t/a/1/cmd/#', 0x2d], ['$share/a/b', 0], ['a/*', 0], ['t/a/1/notice', 2]),
  packet5.unsubscribe(6, 't/a/1/cmd/#', 'a/*'),
  packet5.disconnect(4, { reasonString: 'why' }),
  packet.pingreq,
]

const bytes = fc.uint8Array({ maxLength: 200 }).map((it) => Buffer.from(it))
const mutatedOf = (valid: readonly Buffer[]) =>
  fc
    .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }), fc.nat())
    .map(([original, changes, cut]) => {
      const copy = Buffer.from(original)
      for (const [at, byte] of changes) copy[at % copy.length] = byte
      return cut % 5 === 0 ? copy.subarray(0, cut % copy.length) : copy
    })
const streamOf = (valid: readonly Buffer[]) =>
  fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...valid) },
      { weight: 2, arbitrary: mutatedOf(valid) },
      { weight: 1, arbitrary: bytes },
    ),
    { minLength: 1, maxLength: 15 },
  )

/** Nothing is acknowledged but ids that stand somewhere in what was sent, and nobody gets another's CONNACK. */
function expectRightAnswers(client: PacketClient, pieces: readonly Buffer[]): void {
  const sent = Buffer.concat(pieces)
  let connacks = 0
  for (const answer of client.frames) {
    const type = (answer[0] ?? 0) >> 4
    connacks += type === 2 ? 1 : 0
    // Behind the length, which takes another byte where a reason makes it longer than 127.
    const at = (answer[1] ?? 0) < 128 ? 2 : 3
    if (type >= 4 && type <= 7) expect(sent.includes(answer.subarray(at, at + 2))).toBe(true)
  }
  expect(connacks).toBeLessThanOrEqual(1)
}

describe('hostile bytes', () => {
  it.each([
    { version: 4 as const, isLoggedIn: true },
    { version: 4 as const, isLoggedIn: false },
    { version: 5 as const, isLoggedIn: true },
    { version: 5 as const, isLoggedIn: false },
  ])(
    'neither crash the broker nor leave anything behind ($version, logged in: $isLoggedIn)',
    async ({ version, isLoggedIn }) => {
      const { port, broker, log, metric } = await startBroker()
      const witness = await logIn(port, { username: 'a/2' })
      await fc.assert(
        fc.asyncProperty(streamOf(version === 5 ? VALID5 : VALID), async (pieces) => {
          const client = isLoggedIn
            ? await (version === 5 ? logIn5(port) : logIn(port))
            : new PacketClient(port, version)
          for (const piece of pieces) client.socket.write(piece)
          client.socket.end()
          await client.closed()
          expectRightAnswers(client, pieces)
        }),
        { numRuns: 300 },
      )
      await expect.poll(() => broker.status()).toMatchObject({ clients: 1, inFlight: 0 })
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
