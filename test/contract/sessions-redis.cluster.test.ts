import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { startRedis, type Redis as RedisServer } from '../../load-tests/servers/redis.ts'
import { Cluster } from '../../services/broker/cluster/cluster.ts'
import { SharedGroups } from '../../services/broker/telemetry/shared-groups.ts'
import { Tally } from '../../services/broker/metrics.ts'
import { RedisLink } from '../../shared/mesh/redis-link.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { quiet } from '../broker-harness.ts'
import { describeSessions } from './sessions-contract.ts'
import { shownShared, type MakeSessionsHarness, type SessionsHarness } from './sessions-harness.ts'
import { describeSessionLimit } from './sessions-limit-contract.ts'
import { describeRetainedAndWills } from './sessions-retained-contract.ts'
import { describeShared } from './sessions-shared-contract.ts'
import { describeUnreleased } from './sessions-unreleased-contract.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-redis-'))
let server: RedisServer
let nodes = 0

beforeAll(async () => {
  server = await startRedis(folder, 'sessions')
})

afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** The store of a node that has no clients. */
async function open(maxSessions = 64): Promise<SessionsHarness> {
  const metrics = createMetrics({ defaults: false })
  const link = new RedisLink({ url: server.url, logger: quiet, metrics })
  await link.open()
  const self = { mqtt: { host: '127.0.0.1', port: 1883 } }
  const context = { tally: new Tally(), logger: quiet, metrics, self, maxSessions, groups: new SharedGroups() }
  const cluster = new Cluster({ link, nodeId: `node-${(nodes += 1)}` }, context)
  const wills: string[] = []
  const shared: string[] = []
  cluster.store.onShared((one, done) => {
    shared.push(shownShared(one))
    done()
  })
  await cluster.open({
    clients: () => 0,
    deliver: (_message, _number, done) => done(),
    copy: () => undefined,
    copyTo: () => undefined,
    redeliver: () => Promise.resolve(),
    async publishWill({ topic, payload }, principal) {
      wills.push(`${principal} ${topic} ${payload.toString()}`)
      return true
    },
  })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= cluster.close().then(() => link.close()))
  onTestFinished(close)
  return {
    store: cluster.store,
    wills,
    shared,
    async reopen() {
      for (const lease of [...cluster.fence.leases()]) cluster.store.release(lease)
      await close()
      return open(maxSessions)
    },
  }
}

const make: MakeSessionsHarness = async ({ maxSessions } = {}) => {
  const link = new RedisLink({ url: server.url, logger: quiet, metrics: createMetrics({ defaults: false }) })
  await link.open()
  await link.run((redis) => redis.flushall())
  await link.close()
  return open(maxSessions)
}

describeSessions('Redis', make)
describeSessionLimit('Redis', make)
describeRetainedAndWills('Redis', make)
describeUnreleased('Redis', make)
describeShared('Redis', make)
