import { expect, it } from 'vitest'
import type { BrokerParts } from '../../../services/broker/connection/broker-context.ts'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import { FakeLog, startBroker } from '../../broker-harness.ts'
import { APPEND_AFTER_ACK } from '../../variants/append-after-ack-broker.ts'
import { earlyAppend } from '../../variants/early-append.ts'
import { ONE_LANE } from '../../variants/one-lane-broker.ts'
import { logIn } from '../../mqtt/packet-client.ts'
import { packet } from '../../mqtt/packets.ts'

/** What a device is told while the log makes no progress. */
async function toldWhileStalled(parts?: BrokerParts, log = new FakeLog()): Promise<string[]> {
  const { port } = await startBroker({}, parts, log)
  const client = await logIn(port)
  log.stall()
  client.send(
    packet.publish('t/a/1/telemetry', '1', { qos: 1, id: 1 }),
    packet.publish('t/a/1/telemetry', '2', { qos: 2, id: 2 }),
  )
  await expect.poll(() => log.appends).toBe(1)
  // Another client's messages pass the whole broker: what was to be told by then was told.
  const other = await logIn(port, { username: 'a/2' })
  other.send(packet.publish('t/a/2/status', '3', { qos: 2, id: 3 }))
  await other.packetsUpTo(2)
  client.send(packet.pingreq)
  await client.until(() => client.packets.some(({ cmd }) => cmd === 'pingresp'))
  return (await client.packetsUpTo(2)).filter((name) => name.startsWith('pub'))
}

class EarlyLog extends FakeLog {
  override asPort(): TelemetryLog {
    return earlyAppend(super.asPort())
  }
}

it('nothing is acknowledged before it is in the log, with and without the telemetry lane', async () => {
  expect(await toldWhileStalled()).toEqual([])
  expect(await toldWhileStalled(ONE_LANE)).toEqual([])
})

it.each<[string, BrokerParts | undefined, FakeLog]>([
  ['a log that says durable too early', undefined, new EarlyLog()],
  ["an append in aedes' published hook", APPEND_AFTER_ACK, new FakeLog()],
])('the check above sees %s', async (_name, parts, log) => {
  expect(await toldWhileStalled(parts, log)).toContain('puback 1')
})
