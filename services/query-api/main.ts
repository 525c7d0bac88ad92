import { warnOfUnknownNames } from '../../config/all-settings.ts'
import {
  influxOptions,
  mariadbOptions,
  queryApiProcessSettings,
  redisCacheOptions,
  redisSessionsOptions,
} from '../../config/cluster.ts'
import { kafkaOptions } from '../../config/kafka.ts'
import { openRedisCache } from '../../shared/cache/redis/open.ts'
import { runClusterProcess } from '../../shared/process/cluster-process.ts'
import { listenHttp } from '../../shared/process/listen.ts'
import { openBrokerNodes } from '../../shared/mesh/broker-nodes.ts'
import { openGroupOwners } from '../../shared/log/kafka/group-owners.ts'
import { openKafkaLog } from '../../shared/log/kafka/open.ts'
import { LagWatch } from '../../shared/process/lag-watch.ts'
import { openInfluxPoints } from '../../shared/points/influx/open.ts'
import { nodeName } from '../../shared/process/node-name.ts'
import { portChecks } from '../../shared/process/readiness.ts'
import { openStamps } from '../../shared/stamps/stamps.ts'
import { leaseSlots } from '../../shared/stamps/slot-lease.ts'
import { openMariadbRegistry } from '../../shared/registry/mariadb/open.ts'
import { Rates } from '../../shared/rates.ts'
import { thisBuild } from '../../shared/process/version.ts'
import type { ProcessStatus } from './api.ts'
import { createApi } from './app.ts'
import { openContractOverlays } from './contract-overlays.ts'
import { openPolicyOverlays } from './policy-overlays.ts'

process.exitCode = await runClusterProcess(queryApiProcessSettings, 'query-api', async (context) => {
  const { config, logger, metrics, releasers, open, watch, readiness } = context
  warnOfUnknownNames(logger)
  const registry = await open('registry', openMariadbRegistry, mariadbOptions(config))
  const { facts } = registry
  const node = nodeName('query-api', { id: config.NODE_ID, port: config.HTTP_PORT })
  const log = await open('log', openKafkaLog, { ...kafkaOptions(config, 'query-api'), facts, member: node })
  const points = await open('points', openInfluxPoints, influxOptions(config))
  const cache = await open('cache', openRedisCache, redisCacheOptions(config))
  const nodes = await open('broker nodes', openBrokerNodes, redisSessionsOptions(config))
  await registry.setAdminKey(config.ADMIN_TOKEN)
  await open('policy files', openPolicyOverlays, { registry, folder: config.POLICY_FILES })
  const owners = await open('workers', openGroupOwners, kafkaOptions(config, 'query-api'))
  const workers = () => owners.list()
  const contracts = { registry, workers, folder: config.CONTRACT_FILES }
  const overlay = await open('contract files', openContractOverlays, contracts)
  const lag = new LagWatch({ log, logger, metrics })
  releasers.own('lag watch', lag, async (it) => it.close())
  const hold = leaseSlots({ slots: registry.stampSlots, name: node, logger, metrics })
  const stamps = await open('stamps', openStamps, { log, hold, node, waitForClockMs: config.WAIT_FOR_CLOCK * 1000 })
  watch(...portChecks({ log, points, registry }, true), stamps.check)
  const api = await createApi({
    ...{ log, points, registry, cache, nodes, readiness, settings: config, logger, metrics },
    stamp: (elements) => stamps.clock.stampOf(elements),
    workers,
    contracts: overlay,
    status: () => ({ mode: 'cluster', mqtt: mqttAddress(config.MQTT_ADDRESS), readings: undefined }),
    rates: new Rates(config, metrics),
    build: thisBuild(),
    publicFolder: new URL('public/', import.meta.url),
  })
  releasers.own('query api', api, (it) => it.close())
  return { http: await listenHttp(api, { host: config.BIND_ADDRESS, port: config.HTTP_PORT }, 'HTTP_PORT') }
})

function mqttAddress(text: string | undefined): ProcessStatus['mqtt'] {
  const colon = text?.lastIndexOf(':') ?? -1
  return text === undefined || colon < 0
    ? undefined
    : { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
}
