/**
 * One broker node as a process, for tests and benchmarks of the cluster: a log in memory, and logins for whoever knows
 * the secret `s`: whatever device `{tenant}/{device}`, and the application `app`, which may do everything.
 *
 *   node load-tests/brokers/broker-node.ts {REDIS_SESSIONS_URL} {node id}
 *
 * Says `ready {port}` on stdout; answers each line on stdin with its CPU seconds, clients, sessions and aedes' clients as
 * JSON. Ends with SIGTERM as the product does, and with stdin.
 */
import { createInterface } from 'node:readline'
import { brokerSettings } from '../../config/broker.ts'
import { createBroker } from '../../services/broker/broker.ts'
import { loadConfig } from '../../shared/config.ts'
import { createLogger } from '../../shared/process/logger.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { openRedisLink } from '../../shared/mesh/redis-link.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { ReceiveClock } from '../../shared/stamps/receive-clock.ts'
import { SAME_NAMES } from '../../shared/registry/names-port.ts'
import type { Principal, Registry } from '../../shared/registry/port.ts'
import { runProcess } from '../../shared/process/service-process.ts'

const ENABLED = { disabled: false, endedMs: undefined }
const ALL = [
  { effect: 'allow', action: 'publish', topic: '#' },
  { effect: 'allow', action: 'subscribe', topic: '#' },
] as const

function principal(name: string): Principal {
  if (name === 'app') return { kind: 'application', name, rules: ALL }
  const [tenant = '', device = ''] = name.split('/')
  return { kind: 'device', name, tenant, device, uid: device }
}

const registry = {
  verifySecret: async (name: string, secret: string) => (secret === 's' ? principal(name) : undefined),
  verifyToken: async () => undefined,
  principalNamed: async (name: string) => principal(name),
  applicationPrincipal: async (name: string) => principal(name),
  getDevice: async (tenant: string, device: string) => ({
    tenant,
    device,
    uid: device,
    tags: {},
    createdMs: 0,
    login: ENABLED,
  }),
  getApplication: async (name: string) => ({ name, rules: ALL, createdMs: 0, login: ENABLED }),
  onChange: () => () => undefined,
  names: SAME_NAMES,
  policies: { epoch: 0, revisionOf: () => undefined },
  watches: { epoch: 0, untilMs: () => 0 },
  presence: { record: async () => {}, endNode: async () => {}, recordLimits: async () => {} },
}

let offset = 0
const log = {
  partitions: 1,
  partitionOf: () => 0,
  append: async (_topic: string, records: readonly unknown[]) => new Map([[0, (offset += records.length) - 1]]),
}

process.exitCode = await runProcess(async ({ releasers }) => {
  const [url = '', nodeId] = process.argv.slice(2)
  const logger = createLogger('warn')
  const metrics = createMetrics({ defaults: false })
  const link = releasers.own('link', await openRedisLink({ url, logger, metrics }), (it) => it.close())
  const broker = await createBroker({
    // What a broker asks of them is there.
    log: log as unknown as TelemetryLog,
    registry: registry as unknown as Registry,
    clock: new ReceiveClock({ id: 0, after: undefined }),
    settings: { ...loadConfig(brokerSettings, {}), MQTT_PORT: 0 },
    logger,
    metrics,
    cluster: { link, nodeId },
  })
  releasers.own('broker', broker, (it) => it.close())
  const lines = createInterface({ input: process.stdin })
  lines.on('line', () => void report())
  releasers.own('stdin', lines, (it) => it.close())
  // Whoever started it is gone.
  process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'))
  const gauge = async (name: string): Promise<number> =>
    (await metrics.getSingleMetric(name)?.get())?.values[0]?.value ?? 0
  const report = async (): Promise<void> => {
    const { user, system } = process.cpuUsage()
    const { clients } = broker.status()
    const [sessions, known] = [
      await gauge('sluice_broker_cluster_sessions'),
      await gauge('sluice_broker_cluster_clients'),
    ]
    process.stdout.write(`${JSON.stringify({ cpu: (user + system) / 1e6, clients, sessions, known })}\n`)
  }
  process.stdout.write(`ready ${broker.addresses.mqtt.port}\n`)
  return logger
})
