import { expect, onTestFinished } from 'vitest'
import { brokerSettings, type BrokerSettings } from '../../../../config/broker.ts'
import { createBroker, type Broker } from '../../../../services/broker/broker.ts'
import { loadConfig } from '../../../../shared/config.ts'
import { RedisLink } from '../../../../shared/mesh/redis-link.ts'
import { createMetrics, type Metrics } from '../../../../shared/process/metrics.ts'
import { ReceiveClock } from '../../../../shared/stamps/receive-clock.ts'
import { EVERYTHING, FakeLog, FakeRegistry, quiet } from '../../../broker-harness.ts'
import { tempFolder } from '../../../helpers.ts'
import { startRedis } from '../../../../load-tests/servers/redis.ts'

export interface Node {
  readonly id: string
  readonly broker: Broker
  readonly link: RedisLink
  readonly log: FakeLog
  readonly metrics: Metrics
  readonly port: number
  metric(name: string): Promise<number>
  close(): Promise<void>
}

export interface Nodes {
  readonly registry: FakeRegistry
  readonly redis: Awaited<ReturnType<typeof startRedis>>
  /** A connection of the test's own. */
  readonly link: RedisLink
  /** `Link`: in place of the usual way to Redis. */
  start(id: string, settings?: Partial<BrokerSettings>, Link?: typeof RedisLink): Promise<Node>
}

/** A Redis, and brokers in this process on it; the devices `a/1` to `a/9` and the application `app`, which may do everything. */
export async function startNodes(): Promise<Nodes> {
  const redis = await startRedis(tempFolder(), 'sessions')
  onTestFinished(() => redis.stop())
  const registry = new FakeRegistry()
  for (let device = 1; device < 10; device += 1) registry.devices.add(`a/${device}`)
  registry.applications.set('app', EVERYTHING)
  const link = new RedisLink({ url: redis.url, logger: quiet, metrics: createMetrics({ defaults: false }) })
  onTestFinished(() => link.close())
  await link.open()
  return {
    registry,
    redis,
    link,
    start: (id, settings = {}, Link = RedisLink) => startNode(id, redis.url, registry, settings, Link),
  }
}

async function startNode(
  id: string,
  url: string,
  registry: FakeRegistry,
  settings: Partial<BrokerSettings>,
  Link: typeof RedisLink,
): Promise<Node> {
  const metrics = createMetrics({ defaults: false })
  const log = new FakeLog()
  const link = new Link({ url, logger: quiet, metrics })
  await link.open()
  const broker = await createBroker({
    log: log.asPort(),
    registry: registry.asPort(),
    clock: new ReceiveClock({ id: 0, after: undefined }),
    settings: { ...loadConfig(brokerSettings, {}), MQTT_PORT: 0, ...settings },
    logger: quiet,
    metrics,
    cluster: { link, nodeId: id },
  })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= broker.close().finally(() => link.close()))
  onTestFinished(async () => {
    await close()
    expect(await metric('sluice_broker_invariants_broken_total'), 'invariants that were broken').toBe(0)
  })
  const metric = async (name: string): Promise<number> => {
    const values = (await metrics.getSingleMetric(name)?.get())?.values ?? []
    return values.reduce((sum, { value }) => sum + value, 0)
  }
  return { id, broker, link, log, metrics, port: broker.addresses.mqtt.port, metric, close }
}

/** Redis answers nothing until the result is called; the node has noticed. */
export async function silenceRedis({ redis }: Pick<Nodes, 'redis'>, { link }: Pick<Node, 'link'>): Promise<() => void> {
  const pid = redis.process.pid ?? 0
  const goOn = (): void => void process.kill(pid, 'SIGCONT')
  process.kill(pid, 'SIGSTOP')
  onTestFinished(goOn)
  await expect.poll(() => link.isUp).toBe(false)
  return goOn
}
