import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { BrokerParts } from '../../../services/broker/connection/broker-context.ts'
import { FakeLog, startBroker } from '../../broker-harness.ts'
import { ONE_LANE } from '../../variants/one-lane-broker.ts'
import { logIn, logIn5 } from '../../mqtt/packet-client.ts'
import { packet, packet5, property } from '../../mqtt/packets.ts'

const TOPICS = [
  't/a/1/telemetry',
  't/a/1/telemetry/wind',
  't/a/1/status',
  't/a/1/telemetri',
  't/b/1/telemetry',
  '$SYS/x',
]

const REFUSED: ReadonlySet<string> = new Set(['t/a/1/telemetri', 't/b/1/telemetry', '$SYS/x'])

const publish: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('publish' as const),
  topic: fc.constantFrom(...TOPICS, 't/a/1/telemetry', 't/a/1/telemetry'),
  qos: fc.nat({ max: 2 }),
  retain: fc.boolean(),
  payload: fc.string({ maxLength: 300 }),
  /** Only sent in MQTT 5. */
  properties: fc
    .subarray([property.user('k', 'v'), property.byte(1, 1), property.four(2, 60), property.text(3, 'c')])
    .map((some) => Buffer.concat(some)),
})
const other: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('ping' as const, 'subscribe' as const, 'unsubscribe' as const),
})
const rounds = fc.array(
  fc.array(fc.oneof({ weight: 6, arbitrary: publish }, { weight: 1, arbitrary: other }), { maxLength: 40, size: '+1' }),
  {
    minLength: 1,
    maxLength: 3,
  },
)
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 3_000 })), {
  minLength: 1,
  maxLength: 12,
})

type Step =
  | { kind: 'publish'; topic: string; qos: number; retain: boolean; payload: string; properties: Buffer }
  | { kind: 'ping' | 'subscribe' | 'unsubscribe' }

/** Both versions make their packets by the same calls. */
const PACKETS = { 4: packet, 5: { ...packet, ...packet5 } } as const

function control(version: 4 | 5, kind: 'ping' | 'subscribe' | 'unsubscribe', id: number): Buffer {
  const packets = PACKETS[version]
  if (kind === 'ping') return packet.pingreq
  return kind === 'subscribe'
    ? packets.subscribe(id, ['t/a/1/cmd/#', 1], ['#', 0], ['a/*', 0])
    : packets.unsubscribe(id, 't/a/1/cmd/#')
}

interface Seen {
  /** PUBACK and PUBREC in order; PUBCOMP in order; the rest of each kind in order. */
  readonly answers: Record<string, string[]>
  readonly records: [string, string, string | undefined][]
  readonly refusals: string[]
}

/** What a device sees and the log holds after some rounds, each sent in pieces and answered before the next. */
async function play(
  version: 4 | 5,
  sent: readonly (readonly Step[])[],
  lengths: readonly number[],
  waits: readonly number[],
  parts?: BrokerParts,
): Promise<Seen> {
  const log = new FakeLog()
  log.before = async () => {
    for (let turn = waits[log.appends % waits.length] ?? 0; turn > 0; turn -= 1) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const { port, broker } = await startBroker({}, parts, log)
  const client = await (version === 5 ? logIn5(port) : logIn(port))
  let id = 0
  let expected = 1
  for (const round of sent) {
    const releases: Buffer[] = []
    const packets = round.map((step) => {
      if (step.kind !== 'publish' || step.qos > 0) expected += 1
      id += 1
      if (step.kind !== 'publish') return control(version, step.kind, id)
      // In MQTT 5 a refused message is over with its PUBREC.
      if (step.qos === 2 && !(version === 5 && REFUSED.has(step.topic))) releases.push(packet.pubrel(id))
      return PACKETS[version].publish(step.topic, step.payload, { ...step, id })
    })
    const bytes = Buffer.concat(packets)
    for (let at = 0, index = 0; at < bytes.length; index += 1) {
      const length = lengths[index % lengths.length] ?? 1
      client.socket.write(bytes.subarray(at, at + length))
      at += length
      if (index % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await client.packetsUpTo(expected)
    client.send(...releases)
    expected += releases.length
    await client.packetsUpTo(expected)
  }
  client.send(packet.pingreq)
  const got = await client.packetsUpTo(expected + 1)
  client.send(packet.disconnect())
  await client.closed()
  await broker.close()
  const kindOf = (name: string) => (/^pub(ack|rec)/.test(name) ? 'acks' : (name.split(' ')[0] ?? ''))
  return {
    answers: Object.groupBy(got, kindOf) as Record<string, string[]>,
    records: log.records.map(({ key, value, headers }) => [key, Buffer.from(value).toString(), headers?.['topic']]),
    refusals: log.letters.map(({ code, topic }) => `${code} ${topic ?? ''}`),
  }
}

const SAME = 'a device sees the same answers in the same order, and the log holds the same, with and without the lane'

it.each([4, 5] as const)(
  `${SAME} (version %i)`,
  async (version) => {
    const waits = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(rounds, cuts, waits, async (sent, lengths, delays) => {
        const twoLanes = await play(version, sent, lengths, delays)
        const oneLane = await play(version, sent, lengths, delays, ONE_LANE)
        expect(twoLanes).toEqual(oneLane)
      }),
      { numRuns: 60 },
    )
  },
  120_000,
)

it('the log holds the same from both versions', async () => {
  await fc.assert(
    fc.asyncProperty(rounds, cuts, async (sent, lengths) => {
      const [old, new5] = await Promise.all([play(4, sent, lengths, [0]), play(5, sent, lengths, [0])])
      expect(new5.records).toEqual(old.records)
      expect(new5.refusals).toEqual(old.refusals)
    }),
    { numRuns: 40 },
  )
})
