import { setTimeout as delay } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { INGEST_GROUP } from '../../../shared/log/port.ts'
import { withAdmin } from '../../integration/log/leader-move.ts'
import type { Servers } from '../../../load-tests/servers/all.ts'
import type { Cluster } from '../../../load-tests/cluster/cluster.ts'
import type { Member } from '../../../load-tests/cluster/member.ts'

const TOPIC = 'telemetry.raw'

/** What has passed each stage so far: counters of the processes, and what Kafka itself says of its topic. */
export interface Flow {
  readonly received: number
  readonly acked: number
  readonly refused: number
  readonly abandoned: number
  readonly inFlight: number
  readonly appended: number
  readonly decoded: number
  readonly readings: number
  /** Fields that were refused; nothing else is, here. */
  readonly faults: number
  readonly nulls: number
  /** Decoded by a worker that lost the partition before it wrote them. */
  readonly revoked: number
  readonly points: number
  readonly written: number
  /** Records in the log. */
  readonly end: number
  /** Records that are committed. */
  readonly committed: number
  /** The processes that counted: of one that was killed the counters are gone. */
  readonly counters: string
}

/** How the stages are to agree. */
export interface Expectation {
  /** Messages whose acknowledgement the devices have. */
  readonly acked: number
  readonly fieldsPerReading: number
  /** Kafka failed: an append whose answer was lost is in the log twice, and partitions changed hands. */
  readonly isLogDisturbed: boolean
}

/** Resolves when everything in the log is committed, with what was counted until then. */
export async function settledFlow(cluster: Cluster, servers: Servers): Promise<Flow> {
  const limit = Date.now() + 30_000
  for (;;) {
    const flow = await readFlow(cluster, servers)
    if ((flow.committed === flow.end && flow.inFlight === 0) || Date.now() > limit) return flow
    await delay(200)
  }
}

async function readFlow(cluster: Cluster, servers: Servers): Promise<Flow> {
  const { brokers, workers } = cluster
  const [log, ofBroker, ofWorkers] = await Promise.all([
    withAdmin(servers.kafka, positions),
    metrics(brokers, {
      received: 'sluice_broker_publishes_received_total',
      acked: 'sluice_broker_publishes_acked_total',
      refused: 'sluice_broker_publishes_refused_total',
      abandoned: 'sluice_broker_publishes_abandoned_total',
      inFlight: 'sluice_broker_in_flight',
      appended: `sluice_log_appended_records_total{topic="${TOPIC}"}`,
    }),
    metrics(workers, {
      decoded: 'sluice_ingest_batch_records_sum',
      readings: 'sluice_ingest_readings_total',
      faults: 'sluice_ingest_faults_total',
      nulls: 'sluice_ingest_nulls_total',
      revoked: 'sluice_ingest_revoked_points_total',
      points: 'sluice_ingest_points_total',
      written: 'sluice_points_written_total',
    }),
  ])
  const counters = [...brokers, ...workers].map(({ pid }) => pid).join(' ')
  return { ...log, ...ofBroker, ...ofWorkers, counters }
}

async function metrics<K extends string>(members: readonly Member[], names: Record<K, string>) {
  const all = await Promise.all(members.map((member) => member.metrics(Object.values(names))))
  const sum = (name: string) => all.reduce((total, values) => total + (values.get(name) ?? 0), 0)
  const entries = Object.entries<string>(names).map(([key, name]) => [key, sum(name)])
  return Object.fromEntries(entries) as Record<K, number>
}

/** Records in the log. */
export async function inLog(servers: Servers): Promise<number> {
  return (await withAdmin(servers.kafka, positions)).end
}

/** Resolves when everything in the log is committed, and so the latest states are in the registry. */
export async function untilCommitted(servers: Servers): Promise<void> {
  await withAdmin(servers.kafka, async (admin) => {
    for (;;) {
      const { end, committed } = await positions(admin)
      if (end === committed) return
      await delay(200)
    }
  })
}

/** Records that Kafka has, and that are committed. */
export async function positions(admin: Admin): Promise<{ end: number; committed: number }> {
  const ends = await admin.fetchTopicOffsets(TOPIC)
  const [group] = await admin.fetchOffsets({ groupId: INGEST_GROUP, topics: [TOPIC] })
  const sum = (offsets: readonly { offset: string }[]) =>
    offsets.reduce((total, { offset }) => total + Math.max(0, Number(offset)), 0)
  return { end: sum(ends), committed: sum(group?.partitions ?? []) }
}

/**
 * What does not add up between two moments of rest; nothing when every message is where it should be. The counters of
 * processes that lived through it must agree to the last message; otherwise what Kafka says must be enough.
 */
export function imbalance(before: Flow, after: Flow, expected: Expectation): string[] {
  const grown = (key: Exclude<keyof Flow, 'counters'>) => after[key] - before[key]
  const wrong: string[] = []
  const equal = (what: string, one: number, other: number) => {
    if (one !== other) wrong.push(`${what}: ${one} and ${other}`)
  }
  const atLeast = (what: string, one: number, other: number) => {
    if (one < other) wrong.push(`${what}: ${one} is less than ${other}`)
  }
  const { received, acked, refused, abandoned, inFlight } = after
  equal('received = acked + refused + abandoned + in flight', received, acked + refused + abandoned + inFlight)
  equal('committed = in the log', after.committed, after.end)
  atLeast('in the log >= acknowledged to the devices', grown('end'), expected.acked)
  if (before.counters !== after.counters) return wrong
  atLeast('acked >= acknowledged to the devices', grown('acked'), expected.acked)
  atLeast('appended >= acked', grown('appended'), grown('acked'))
  equal('readings = decoded', grown('readings'), grown('decoded'))
  const fields = grown('decoded') * expected.fieldsPerReading
  const accounted = grown('points') + grown('nulls') + grown('revoked') + grown('faults')
  equal('points + nulls + revoked + faults = fields', accounted, fields)
  equal('written = points', grown('written'), grown('points'))
  if (expected.isLogDisturbed) {
    atLeast('decoded >= in the log', grown('decoded'), grown('end'))
    return wrong
  }
  equal('appended = in the log', grown('appended'), grown('end'))
  equal('decoded = in the log', grown('decoded'), grown('end'))
  return wrong
}

/** Resolves when the workers share the partitions: what changes hands is decoded twice. */
export async function untilGroupIsStable(servers: Servers, members: number): Promise<void> {
  await withAdmin(servers.kafka, async (admin) => {
    for (;;) {
      const { groups } = await admin.describeGroups([INGEST_GROUP])
      if (groups[0]?.state === 'Stable' && groups[0].members.length === members) return
      await delay(100)
    }
  })
}
