import { mariadbOptions, topicSettings } from '../../../config/cluster.ts'
import { kafkaOptions } from '../../../config/kafka.ts'
import { loadConfig, type Environment } from '../../../shared/config.ts'
import { applyTopics, type AppliedTopic } from '../../../shared/log/kafka/apply-topics.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { userInfo } from 'node:os'
import { pause } from '../../../shared/backoff.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { Partitioning } from '../../../shared/log/kafka/partitioning.ts'
import { askRepartition, readPartitioning, type RepartitionWish } from '../../../shared/log/kafka/repartition.ts'
import { openMariadbRegistry, openMariadbTables } from '../../../shared/registry/mariadb/open.ts'

export type AppliedTopics = readonly AppliedTopic[]

/** `applyTopics` on the Kafka and the registry that the environment names. Errors: as there, those of the registry. */
export async function runApply(env: Environment | undefined): Promise<AppliedTopics> {
  const config = loadConfig(topicSettings, env)
  const logger = createLogger('warn')
  const metrics = createMetrics({ defaults: false })
  const tables = await openMariadbTables({ ...mariadbOptions(config), url: config.MARIADB_URL, logger, metrics })
  try {
    return await applyTopics({ ...kafkaOptions(config, 'log'), facts: tables.facts, logger })
  } finally {
    await tables.close()
  }
}

const LOOK_EVERY_MS = 300

/** How far a change of partitions is. */
export type RepartitionStep = Pick<Partitioning, 'state' | 'from' | 'to'>

/**
 * `askRepartition` on the Kafka and the registry that the environment names, and what becomes of it: `onState` is told of each
 * state. Resolves when all records from before are stored, or when the signal is aborted, which changes nothing. Errors: as
 * there, `log_repartition_given_up`.
 */
export async function runRepartition(
  env: Environment | undefined,
  wish: RepartitionWish,
  { onState, signal }: { readonly onState: (now: RepartitionStep) => void; readonly signal: AbortSignal },
): Promise<RepartitionStep> {
  const config = loadConfig(topicSettings, env)
  const logger = createLogger('warn')
  const metrics = createMetrics({ defaults: false })
  const registry = await openMariadbRegistry({ ...mariadbOptions(config), url: config.MARIADB_URL, logger, metrics })
  const options = { ...kafkaOptions(config, 'log'), facts: registry.facts, logger }
  try {
    let now = await askRepartition(options, wish)
    const { epoch, from, to } = now
    if (now.state === 'settled') return { state: now.state, from: to, to }
    const detail = `${from} to ${to} partitions${(wish.without ?? []).map((name) => `, without ${name}`).join('')}`
    await registry.audit({ who: userInfo().username, action: 'log.repartition', subject: 'telemetry.raw', detail })
    onState(now)
    while (now.state !== 'settled' && !signal.aborted) {
      await pause(LOOK_EVERY_MS, signal)
      const next = (await readPartitioning(options)) ?? now
      if (next.state !== now.state) onState(next)
      now = next
    }
    if (now.epoch === epoch && now.reason !== undefined) throw new SluiceError('log_repartition_given_up', now.reason)
    return now
  } finally {
    await registry.close()
  }
}
