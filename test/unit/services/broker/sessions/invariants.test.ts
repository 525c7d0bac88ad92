import { describe, expect, it } from 'vitest'
import type { AedesPublishPacket, Client } from 'aedes'
import { Invariants } from '../../../../../services/broker/invariants.ts'
import { Tally } from '../../../../../services/broker/metrics.ts'
import { Mqtt5 } from '../../../../../services/broker/mqtt/v5/protocol.ts'
import { createHooks } from '../../../../../services/broker/sessions/aedes-hooks.ts'
import type { AedesLane } from '../../../../../services/broker/sessions/aedes-lane.ts'
import { LiveAedes } from '../../../../../services/broker/sessions/aedes-internals.ts'
import { completePackets } from '../../../../../services/broker/sessions/aedes-properties.ts'
import { AedesStream, type AedesPacket } from '../../../../../services/broker/sessions/aedes-stream.ts'
import { Mqtt5Delivery } from '../../../../../services/broker/sessions/delivery-v5.ts'
import { PropertiesByPayload } from '../../../../../services/broker/sessions/payload-properties.ts'
import { SessionEmitter, storedAs } from '../../../../../services/broker/sessions/session-emitter.ts'
import { Relay } from '../../../../../services/broker/sessions/relay.ts'
import { createMetrics } from '../../../../../shared/process/metrics.ts'
import { quiet } from '../../../../broker-harness.ts'
import { openMemorySessions } from '../../../../memory-sessions.ts'
import { packet } from '../../../../mqtt/packets.ts'
import { turn } from './installed-aedes.ts'

const PROPERTIES = { bytes: Buffer.from([0x03, 0, 1, 0x61]), expiresAt: undefined }
const LIMITS = { receiveMaximum: 10, maximumPacketSize: 1000, topicAliasMaximum: 0 }
const CLIENT = { ...LIMITS, sessionExpiry: 0, wantsReasons: false }

function setUp() {
  const metrics = createMetrics({ defaults: false })
  const invariants = new Invariants(quiet, metrics)
  const closed: (Error | null)[] = []
  const owner = {
    principal: { kind: 'device', name: 'a/1', tenant: 'a', device: '1', uid: '1' } as const,
    unsentBytes: 0,
    packetsFromAedes: (_packets: readonly AedesPacket[], _bytes: Buffer, taken: () => void) => taken(),
    forwards: () => undefined,
    subscribed: () => undefined,
    isOverQuota: () => undefined,
    releasesNothing: () => undefined,
  }
  const connection = {
    ready: () => undefined,
    aedesMoved: () => undefined,
    aedesClosed: (error: Error | null) => void closed.push(error),
  }
  const broken = async (): Promise<Record<string, number>> => {
    const counted = await metrics.getSingleMetric('sluice_broker_invariants_broken_total')?.get()
    const all = (counted?.values ?? []).map(({ labels, value }) => [String(labels['invariant']), value] as const)
    return Object.fromEntries(all.filter(([, value]) => value > 0))
  }
  return { invariants, broken, closed, stream: new AedesStream(owner, connection) }
}

describe('aedes takes packets in the order in which they were delivered', () => {
  /** An aedes that has let the client in; its own hooks, and what it published. */
  async function open(complete: boolean) {
    const { stream, ...rest } = setUp()
    const published: { topic: string; properties: unknown }[] = []
    const aedes = new LiveAedes({
      authorizePublish: (_client, { topic, properties }, done) => {
        published.push({ topic, properties })
        done(null)
      },
    })
    await aedes.listen()
    const client = aedes.handle(stream)
    if (complete) completePackets(client, rest.invariants)
    stream.deliver(packet.connect({ clientId: 'x' }))
    await turn()
    return { ...rest, stream, client, published }
  }

  it('and each gets its properties', async () => {
    const { stream, published, broken } = await open(true)
    stream.deliver(packet.publish('a/b', 'one'))
    stream.deliver(packet.publish('a/c', 'two'), { properties: PROPERTIES })
    await turn()
    expect(published).toMatchObject([{ topic: 'a/b' }, { topic: 'a/c', properties: PROPERTIES }])
    expect(await broken()).toEqual({})
  })

  it.each([
    ['a packet that nobody delivered', (stream: AedesStream) => stream.push(packet.publish('a/b', 'stray'))],
    ['a packet that is missing', (stream: AedesStream) => stream.takeExtras({ cmd: 'publish', length: 0 })],
  ])('%s in between closes the connection: nothing is published with properties of another', async (_, disturb) => {
    const { stream, published, closed, broken } = await open(true)
    disturb(stream)
    stream.deliver(packet.publish('a/c', 'of another length'), { properties: PROPERTIES })
    stream.deliver(packet.subscribe(1, ['a/b', 0]), { filters: [] })
    stream.deliver(packet.publish('a/d', 'last'), { properties: PROPERTIES })
    await turn()
    expect(published.filter(({ properties }) => properties !== undefined)).toEqual([])
    expect(closed).toMatchObject([{ code: 'internal' }])
    expect(Object.keys(await broken())).toEqual(['aedes_packet_order'])
  })
})

describe('aedes hands the Buffer of a payload through', () => {
  function deliver(written: (payload: Buffer) => Buffer) {
    const { stream, invariants, closed, broken } = setUp()
    const properties = new PropertiesByPayload()
    const sent: Buffer[] = []
    const delivery = new Mqtt5Delivery({
      protocol: new Mqtt5(CLIENT, LIMITS),
      connack: () => Buffer.alloc(0),
      sink: { forward: (bytes, taken) => void (sent.push(bytes), taken()) },
      // Only answers are completed by it.
      lane: {} as AedesLane,
      stream,
      tally: new Tally(),
      invariants,
      properties,
    })
    const payload = Buffer.from('on')
    properties.note({ payload, properties: PROPERTIES })
    delivery.expect(true)
    const bytes = packet.publish('a/b', 'on')
    let taken = 0
    const whole = { header: 0x30, bytes, body: 2, payload: written(payload) }
    delivery.forward([whole], bytes, () => (taken += 1))
    return { sent, closed, broken, taken }
  }

  it('so a message has its properties when it is written', async () => {
    const { sent, broken, taken } = deliver((payload) => payload)
    expect(sent[0]?.includes(PROPERTIES.bytes)).toBe(true)
    expect([taken, await broken()]).toEqual([1, {}])
  })

  it('and a message that lost them is not sent: the connection closes', async () => {
    const { sent, closed, broken, taken } = deliver((payload) => Buffer.from(payload))
    await turn()
    expect(sent).toEqual([])
    expect(taken).toBe(1)
    expect(closed).toMatchObject([{ code: 'internal' }])
    expect(await broken()).toEqual({ payload_identity: 1 })
  })
})

describe('aedes asks about a message in the turn in which it is handed out', () => {
  function ask(later: boolean) {
    const { stream, invariants, closed, broken } = setUp()
    const emitter = new SessionEmitter()
    const authorizer = { login: () => () => undefined, canPublish: () => true, canSubscribe: () => true }
    const options = { authorizer: { ...authorizer, canReceive: () => true }, tally: new Tally(), cluster: undefined }
    const hooks = createHooks(
      { ...options, invariants, forwardWill: () => Promise.resolve(true) },
      new PropertiesByPayload(),
      emitter,
      new Relay(openMemorySessions(quiet), emitter, new Tally(), () => undefined),
    )
    const client = { conn: stream, subscriptions: {} } as unknown as Client
    const answers: unknown[] = []
    emitter.on('a/b', (message, done) => {
      const asked = (): void => void answers.push(hooks.authorizeForward?.(client, message as AedesPublishPacket))
      if (later) setImmediate(asked)
      else asked()
      done()
    })
    emitter.deliver({ topic: 'a/b', payload: Buffer.from('on'), qos: 0, cmd: 'publish' }, storedAs(7), () => undefined)
    return { answers, closed, broken }
  }

  it('so it has the number under which it is stored', async () => {
    const { answers, broken } = ask(false)
    expect(answers).toMatchObject([{ brokerId: 'stored', brokerCounter: 7 }])
    expect(await broken()).toEqual({})
  })

  it('and gets no message when it asks later: the connection closes', async () => {
    const { answers, closed, broken } = ask(true)
    await turn()
    expect(answers).toEqual([null])
    expect(closed).toMatchObject([{ code: 'internal' }])
    expect(await broken()).toEqual({ forward_in_turn: 1 })
  })
})
