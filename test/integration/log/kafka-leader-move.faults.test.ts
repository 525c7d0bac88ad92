import { describe, expect, it, onTestFinished } from 'vitest'
import type { TelemetryLog } from '../../../shared/log/port.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { type SendKind, withKafkajsSends } from '../../../load-tests/reference/kafka-sends.ts'
import { type MoveResult, moveLeaders } from './leader-move.ts'

/** A wrong sender loses in most moves, never in all: it is given this many. */
const MOVES = 4
const cluster = useKafka(3)

async function open(): Promise<{ log: TelemetryLog; prefix: string }> {
  const prefix = newPrefix()
  const log = await openOnKafka(cluster.kafka, { prefix, partitions: 12 })
  onTestFinished(() => log.close())
  return { log, prefix }
}

async function move(log: TelemetryLog, prefix: string, victim: number): Promise<MoveResult> {
  const load = { devices: 300, batch: 100, appends: 200 }
  const result = await moveLeaders({ log, servers: cluster.kafka, topic: `${prefix}telemetry.raw`, victim, ...load })
  const { lost, disordered, ...figures } = result
  console.log({ victim, lost: lost.length, disordered: disordered.length, ...figures })
  return result
}

describe('each broker is killed once under load', () => {
  it.each([0, 1, 2])('broker %i: nothing acknowledged is lost', async (victim) => {
    const { log, prefix } = await open()
    const { lost, disordered } = await move(log, prefix, victim)
    expect({ lost, disordered }).toEqual({ lost: [], disordered: [] })
  })

  it.each<SendKind>(['unverified', 'idempotent'])('the %s variant loses', async (kind) => {
    let lost = 0
    for (let victim = 0; victim < MOVES && lost === 0; victim++) {
      const { log, prefix } = await open()
      const sends = await withKafkajsSends(log, { kind, brokers: cluster.kafka.brokers, prefix })
      onTestFinished(() => sends.close())
      lost = (await move(sends.log, prefix, victim % 3)).lost.length
    }
    expect(lost).toBeGreaterThan(0)
  })
})
