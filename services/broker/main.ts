import { warnOfUnknownNames } from '../../config/all-settings.ts'
import { brokerProcessSettings, redisSessionsOptions, mariadbOptions } from '../../config/cluster.ts'
import { kafkaOptions } from '../../config/kafka.ts'
import { runClusterProcess } from '../../shared/process/cluster-process.ts'
import { openKafkaLog } from '../../shared/log/kafka/open.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { openRedisLink } from '../../shared/mesh/redis-link.ts'
import { nodeName } from '../../shared/process/node-name.ts'
import { portChecks } from '../../shared/process/readiness.ts'
import { openStamps } from '../../shared/stamps/stamps.ts'
import { leaseSlots } from '../../shared/stamps/slot-lease.ts'
import { openMariadbRegistry } from '../../shared/registry/mariadb/open.ts'
import { createBroker, readinessOf } from './broker.ts'

type Through = (log: TelemetryLog) => TelemetryLog | Promise<TelemetryLog>

/** Runs a broker until SIGTERM or SIGINT; resolves with the exit code. Tests put faults into its log. */
export function runBroker(through: Through = (log) => log): Promise<number> {
  return runClusterProcess(brokerProcessSettings, 'broker', async (context) => {
    const { config, logger, metrics, releasers, open, watch } = context
    warnOfUnknownNames(logger)
    const registry = await open('registry', openMariadbRegistry, mariadbOptions(config))
    const { facts } = registry
    const isPortShared = config.MQTT_REUSE_PORT === 'on'
    const node = nodeName('broker', { id: config.NODE_ID, port: config.MQTT_PORT, isPortShared })
    const kafka = { ...kafkaOptions(config, 'broker'), facts, member: node }
    const log = await through(await open('log', openKafkaLog, kafka))
    const hold = leaseSlots({ slots: registry.stampSlots, name: node, logger, metrics })
    const stamps = await open('stamps', openStamps, { log, hold, node, waitForClockMs: config.WAIT_FOR_CLOCK * 1000 })
    const { clock } = stamps
    const link = await open('sessions', openRedisLink, redisSessionsOptions(config))
    const cluster = { link, nodeId: config.NODE_ID }
    const broker = await createBroker({ log, registry, clock, settings: config, logger, metrics, cluster })
    releasers.own('broker', broker, (it) => it.close())
    watch(
      ...portChecks({ log, registry }, true),
      stamps.check,
      { name: 'broker', check: async () => readinessOf(broker.status()) },
      { name: 'sessions', isShared: true, check: () => link.check() },
    )
    return { ...broker.addresses }
  })
}

if (import.meta.main) process.exitCode = await runBroker()
