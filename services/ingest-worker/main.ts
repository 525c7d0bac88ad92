import { influxSettings, ingestWorkerProcessSettings, kafkaOptions } from '../../config/cluster.ts'
import { openRedisCache } from '../../shared/cache/redis.ts'
import { runClusterProcess } from '../../shared/cluster-process.ts'
import { secretReader } from '../../shared/config.ts'
import { openKafkaLog } from '../../shared/log/kafka.ts'
import { openInfluxPoints } from '../../shared/points/influx.ts'
import { portChecks } from '../../shared/readiness.ts'
import { parseCredentialKey } from '../../shared/registry/credentials.ts'
import { openMariadbRegistry } from '../../shared/registry/mariadb.ts'
import { startIngestWorker, type IngestWorkerOptions } from './worker.ts'

/** Points past the retention of their tenant are hidden at once; what they take on disk is freed this often. */
const EXPIRE_EVERY_MS = 3_600_000

type Ports = Pick<IngestWorkerOptions, 'log' | 'points' | 'registry' | 'cache'>

/** Runs a worker until SIGTERM or SIGINT; resolves with the exit code. Tests look at its ports, and put faults into them. */
export function runIngestWorker(through: (ports: Ports) => Ports = (ports) => ports): Promise<number> {
  return runClusterProcess(ingestWorkerProcessSettings, 'ingest-worker', async (context) => {
    const { config, logger, metrics, releasers, stopping, watch } = context
    const shared = { logger, metrics, signal: stopping }
    const log = releasers.own(
      'log',
      await openKafkaLog({ ...kafkaOptions(config, 'ingest-worker'), ...shared }),
      (it) => it.close(),
    )
    const token = secretReader('INFLUX_TOKEN', influxSettings.INFLUX_TOKEN)
    const influx = { url: config.INFLUX_URL, org: config.INFLUX_ORG, bucket: config.INFLUX_BUCKET, token }
    const pointsOptions = { ...influx, ...shared, expireEveryMs: EXPIRE_EVERY_MS }
    const points = releasers.own('points', await openInfluxPoints(pointsOptions), (it) => it.close())
    const credentialKey = parseCredentialKey(config.CREDENTIAL_KEY, 'CREDENTIAL_KEY')
    const registryOptions = { url: config.MARIADB_URL, credentialKey, ...shared }
    const registry = releasers.own('registry', await openMariadbRegistry(registryOptions), (it) => it.close())
    const cache = releasers.own('cache', await openRedisCache({ url: config.REDIS_CACHE_URL, ...shared }), (it) =>
      it.close(),
    )
    const ports = through({ log, points, registry, cache })
    const worker = await startIngestWorker({ ...ports, settings: config, logger, metrics })
    releasers.own('ingest worker', worker, (it) => it.close())
    watch(...portChecks({ log, points, registry }), { name: 'ingest-worker', check: async () => worker.status() })
    return {}
  })
}

if (import.meta.main) process.exitCode = await runIngestWorker()
