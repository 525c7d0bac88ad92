import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster } from '../../../load-tests/cluster/cluster.ts'
import type { Kafka } from '../../../load-tests/servers/kafka.ts'

const LOOK_MS = 20
const PATIENCE_MS = 60_000

/**
 * Freezes all of Kafka for so long, and resolves when every process works again; ms from SIGCONT until each does: nodes take
 * work, records are appended, every worker has stored something, the lag that the API reads is a fresh one. What is appended and
 * stored under load is told from the counters of each process.
 */
export async function freeze(kafka: Kafka, cluster: Cluster, frozenMs: number) {
  for (const broker of kafka.processes) broker.signal('SIGSTOP')
  await delay(frozenMs)
  const { brokers, workers, api } = cluster
  const counters = [
    ...brokers.map((member) => [member, 'sluice_log_appended_records_total'] as const),
    ...workers.map((member) => [member, 'sluice_ingest_points_total'] as const),
  ]
  const before = await Promise.all(counters.map(([member, name]) => member.metric(name)))
  const whileFrozen = await Promise.all(brokers.map(async (broker) => (await broker.readiness()).ready))
  for (const broker of kafka.processes) broker.signal('SIGCONT')
  const began = performance.now()
  const beganAt = Date.now() / 1_000
  const after = async (isThere: () => Promise<boolean>): Promise<number> => {
    while (!(await isThere())) {
      if (performance.now() - began > PATIENCE_MS) throw new Error('not back after Kafka that was frozen')
      await delay(LOOK_MS)
    }
    return Math.round(performance.now() - began)
  }
  const grown = counters.map(([member, name], index) =>
    after(async () => (await member.metric(name)) > (before[index] ?? 0)),
  )
  const [ready, appended, stored, lag] = await Promise.all([
    Promise.all(brokers.map((broker) => after(async () => (await broker.readiness()).ready))),
    Promise.all(grown.slice(0, brokers.length)),
    Promise.all(grown.slice(brokers.length)),
    after(async () => (await api.metric('sluice_log_lag_read_timestamp_seconds')) > beganAt),
  ])
  return { whileFrozen, ready, appended, stored, lag }
}
