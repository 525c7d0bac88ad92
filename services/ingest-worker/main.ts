import { warnOfUnknownNames } from '../../config/all-settings.ts'
import { influxOptions, ingestWorkerProcessSettings, mariadbOptions, redisCacheOptions } from '../../config/cluster.ts'
import { kafkaOptions } from '../../config/kafka.ts'
import { openRedisCache } from '../../shared/cache/redis/open.ts'
import { runClusterProcess } from '../../shared/process/cluster-process.ts'
import { openKafkaLog } from '../../shared/log/kafka/open.ts'
import { openInfluxPoints } from '../../shared/points/influx/open.ts'
import { nodeName } from '../../shared/process/node-name.ts'
import { portChecks } from '../../shared/process/readiness.ts'
import { openMariadbRegistry } from '../../shared/registry/mariadb/open.ts'
import { startIngestWorker, type IngestWorkerOptions } from './worker.ts'

/** Points past the retention of their tenant are hidden at once; what they take on disk is freed this often. */
const EXPIRE_EVERY_MS = 3_600_000

type Ports = Pick<IngestWorkerOptions, 'log' | 'points' | 'registry' | 'cache'>

/** Runs a worker until SIGTERM or SIGINT; resolves with the exit code. Tests look at its ports, and put faults into them. */
export function runIngestWorker(through: (ports: Ports) => Ports = (ports) => ports): Promise<number> {
  return runClusterProcess(ingestWorkerProcessSettings, 'ingest-worker', async (context) => {
    const { config, logger, metrics, releasers, open, watch } = context
    warnOfUnknownNames(logger)
    const registry = await open('registry', openMariadbRegistry, mariadbOptions(config))
    const { facts } = registry
    const member = nodeName('ingest-worker', { id: undefined, port: config.OPS_PORT })
    const log = await open('log', openKafkaLog, { ...kafkaOptions(config, 'ingest-worker'), facts, member })
    const expiring = { ...influxOptions(config), expireEveryMs: EXPIRE_EVERY_MS }
    const points = await open('points', openInfluxPoints, expiring)
    const cache = await open('cache', openRedisCache, redisCacheOptions(config))
    const ports = through({ log, points, registry, cache })
    const worker = await startIngestWorker({ ...ports, settings: config, logger, metrics })
    releasers.own('ingest worker', worker, (it) => it.close())
    watch(
      ...portChecks({ log, points, registry }, true),
      { name: 'reading', check: async () => ({ ok: worker.isReading() }) },
      { name: 'ingest-worker', isShared: true, check: async () => worker.status() },
    )
    return {}
  })
}

if (import.meta.main) process.exitCode = await runIngestWorker()
