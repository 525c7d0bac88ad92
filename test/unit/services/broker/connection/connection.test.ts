import { duplexPair, type Duplex } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { brokerSettings } from '../../../../../config/broker.ts'
import {
  BROKER_PARTS,
  openBrokerContext,
  type BrokerContext,
} from '../../../../../services/broker/connection/broker-context.ts'
import { Client } from '../../../../../services/broker/connection/client.ts'
import { Connection } from '../../../../../services/broker/connection/connection.ts'
import { MQTT311 } from '../../../../../services/broker/mqtt/protocol.ts'
import { SocketWriter } from '../../../../../services/broker/connection/socket-writer.ts'
import { loadConfig } from '../../../../../shared/config.ts'
import { createMetrics } from '../../../../../shared/process/metrics.ts'
import { Releasers } from '../../../../../shared/process/releasers.ts'
import { ReceiveClock } from '../../../../../shared/stamps/receive-clock.ts'
import { FakeLog, FakeRegistry, quiet } from '../../../../broker-harness.ts'
import { openMemorySessions } from '../../../../memory-sessions.ts'
import { packet } from '../../../../mqtt/packets.ts'
import { turn } from '../sessions/installed-aedes.ts'

const ORIGIN = { listener: 'tcp', remoteAddress: '127.0.0.1' } as const

/** What all connections share, on a log in memory, with the devices `a/1` and `a/2`. */
async function setUp() {
  const registry = new FakeRegistry()
  for (const name of ['a/1', 'a/2']) registry.devices.add(name)
  const metrics = createMetrics({ defaults: false })
  const settings = { ...loadConfig(brokerSettings, {}), MQTT_PORT: 0 }
  const log = new FakeLog()
  const ports = { log: log.asPort(), registry: registry.asPort(), clock: new ReceiveClock({ id: 0, after: undefined }) }
  const releasers = new Releasers(() => undefined)
  const sessions = releasers.own('store', openMemorySessions(quiet), (it) => it.close())
  const options = { ...ports, sessions, settings, logger: quiet, metrics }
  const context = await openBrokerContext(options, BROKER_PARTS, releasers)
  onTestFinished(() => releasers.close())
  const broken = async (): Promise<number> => {
    const counted = await metrics.getSingleMetric('sluice_broker_invariants_broken_total')?.get()
    return counted?.values.reduce((sum, { value }) => sum + value, 0) ?? NaN
  }
  return { context, log, broken }
}

function received(socket: Duplex): Buffer[] {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return chunks
}

/** Counts what a login takes, and closes the connection so many turns of the microtask queue after its last step. */
function closingAfter(turns: number, context: BrokerContext) {
  const counts = { taken: 0, released: 0, opened: 0, begun: 0, ended: 0 }
  const closer = { close: (): void => undefined }
  const counting: BrokerContext = {
    ...context,
    takeovers: Object.assign(Object.create(context.takeovers) as typeof context.takeovers, {
      async enter() {
        counts.taken += 1
        const step = (left: number): void => (left === 0 ? closer.close() : queueMicrotask(() => step(left - 1)))
        step(turns)
        return { release: () => void (counts.released += 1), isPresent: false }
      },
    }),
    presence: Object.assign(Object.create(context.presence) as typeof context.presence, {
      note: ({ ended }: { ended: unknown }) => (ended === undefined ? (counts.begun += 1) : (counts.ended += 1)),
    }),
    sessions: {
      ...context.sessions,
      open(stream) {
        counts.opened += 1
        return context.sessions.open(stream)
      },
    },
  }
  return { counts, closer, counting }
}

describe('a connection that closes while its client is logged in', () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8])(
    'after %i turns leaves no session, and gives back what it took',
    async (turns) => {
      const { context, broken } = await setUp()
      const { counts, closer, counting } = closingAfter(turns, context)
      const [client, server] = duplexPair()
      received(client)
      const connection = new Connection(server, ORIGIN, counting)
      closer.close = () => connection.close()
      client.write(packet.connect({ clientId: 'x', username: 'a/1', password: 's' }))
      client.on('end', () => client.end())
      await connection.ended
      for (let left = 0; left < 20; left += 1) await Promise.resolve()
      expect(counts).toMatchObject({ taken: 1, released: 1 })
      expect(counts.ended).toBe(counts.begun)
      expect(counts.opened).toBe(counts.begun)
      expect(await broken()).toBe(0)
    },
  )

  it('would be refused a session: the broker finds the defect, counts it and says so', async () => {
    const { context, broken } = await setUp()
    const [, server] = duplexPair()
    const closed = { isClosed: true, state: { silence: 0 }, close: () => undefined, progress: () => undefined }
    const connection = { ...closed, ready: () => undefined, aedesMoved: () => undefined, aedesClosed: () => undefined }
    const admitted = {
      principal: { kind: 'device', name: 'a/1', tenant: 'a', device: '1', uid: '1' },
      clientId: 'a/1/x',
      isPresent: false,
      release: () => undefined,
      allowance: undefined,
    } as const
    const welcome = {
      admitted,
      lease: undefined,
      session: { clientId: 'x', epoch: 1, address: '' },
      keepalive: 0,
      packetBytes: 65_536,
      rest: () => undefined,
      connect: Buffer.alloc(0),
      extras: undefined,
      connack: () => Buffer.alloc(0),
    }
    const writer = new SocketWriter(server, context.output, connection)
    const begin = (): Client => new Client(context, connection, writer, MQTT311, welcome)
    expect(begin).toThrowError(expect.objectContaining({ code: 'internal' }))
    expect(await broken()).toBe(1)
  })
})

describe('small packets of two clients', () => {
  it('that are mixed up reach neither of them: both connections are closed, and it is counted', async () => {
    const { context, broken } = await setUp()
    const closed: string[] = []
    const open = (name: string) => {
      const [client, server] = duplexPair()
      const writer = new SocketWriter(server, context.output, { close: () => void closed.push(name) })
      return { writer, bytes: received(client) }
    }
    const [one, other] = [open('one'), open('other')]
    one.writer.acknowledge(0x40, 7)
    one.writer.flush()
    // Left in the buffer, as if the turn had ended without a flush.
    one.writer.acknowledge(0x40, 8)
    other.writer.flush()
    one.writer.acknowledge(0x40, 9)
    other.writer.acknowledge(0x40, 10)
    other.writer.flush()
    await turn()
    expect(Buffer.concat(one.bytes)).toEqual(Buffer.from([0x40, 2, 0, 7]))
    expect(Buffer.concat(other.bytes)).toEqual(Buffer.from([0x40, 2, 0, 10]))
    expect(closed).toEqual(['one', 'other', 'one', 'other'])
    expect(await broken()).toBe(2)
  })
})
