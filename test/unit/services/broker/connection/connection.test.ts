import { duplexPair, type Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { brokerSettings } from '../../../../../config/broker.ts'
import { BROKER_PARTS, openBrokerContext } from '../../../../../services/broker/connection/broker-context.ts'
import { SocketWriter } from '../../../../../services/broker/connection/socket-writer.ts'
import { loadConfig } from '../../../../../shared/config.ts'
import { createMetrics } from '../../../../../shared/process/metrics.ts'
import { Releasers } from '../../../../../shared/process/releasers.ts'
import { createReceiveClock } from '../../../../../shared/receive-clock.ts'
import { FakeLog, FakeRegistry, quiet } from '../../../../broker-harness.ts'

/** What all connections share, on a log in memory, with the devices `a/1` and `a/2`. */
async function setUp() {
  const registry = new FakeRegistry()
  for (const name of ['a/1', 'a/2']) registry.devices.add(name)
  const metrics = createMetrics({ defaults: false })
  const settings = { ...loadConfig(brokerSettings, {}), MQTT_PORT: 0 }
  const log = new FakeLog()
  const ports = { log: log.asPort(), registry: registry.asPort(), clock: createReceiveClock(undefined) }
  const releasers = new Releasers(() => undefined)
  const context = await openBrokerContext({ ...ports, settings, logger: quiet, metrics }, BROKER_PARTS, releasers)
  onTestFinished(() => releasers.close())
  const broken = async (): Promise<number> => {
    const counted = await metrics.getSingleMetric('sluice_broker_invariants_broken_total')?.get()
    return counted?.values.reduce((sum, { value }) => sum + value, 0) ?? NaN
  }
  return { context, broken }
}

function received(socket: Duplex): Buffer[] {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return chunks
}

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
    await delay(5)
    expect(Buffer.concat(one.bytes)).toEqual(Buffer.from([0x40, 2, 0, 7]))
    expect(Buffer.concat(other.bytes)).toEqual(Buffer.from([0x40, 2, 0, 10]))
    expect(closed).toEqual(['one', 'other', 'one', 'other'])
    expect(await broken()).toBe(2)
  })
})
