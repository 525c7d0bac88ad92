import { mariadbOptions, topicSettings } from '../../../config/cluster.ts'
import { kafkaOptions } from '../../../config/kafka.ts'
import { loadConfig, type Environment } from '../../../shared/config.ts'
import { applyTopics, type AppliedTopic } from '../../../shared/log/kafka/apply-topics.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openMariadbTables } from '../../../shared/registry/mariadb/open.ts'

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
