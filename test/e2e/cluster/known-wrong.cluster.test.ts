import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { INGEST_GROUP } from '../../../shared/log/port.ts'
import { withAdmin } from '../../integration/log/leader-move.ts'
import { startFaultProxy } from '../../../load-tests/servers/fault-proxy.ts'
import { expectLoss, LIMIT_MS, reportOutcome, runScenario, someTime, useServers } from './harness.ts'
import { wake } from './wake.ts'

const cluster = useServers()

describe('the harness fails on known-wrong variants', { timeout: LIMIT_MS }, () => {
  it('a worker that commits before it writes loses', async () => {
    await expectLoss((seed) =>
      runScenario(cluster, {
        ...{ name: 'commit before write', seed, patienceSeconds: 15 },
        workerCommand: ['test/variants/worker-that-commits-first.ts'],
        async fault({ workers: [worker] }, random) {
          for (let kill = 0; kill < 3; kill += 1) {
            await someTime(random, 1_000)
            await worker?.stop('SIGKILL')
            await worker?.start()
          }
        },
      }),
    )
  })

  it('a worker whose state is not guarded brings back an old one', async () => {
    const outcome = await runScenario(cluster, {
      ...{ name: 'state not guarded', seed: 1, workerCommand: ['test/variants/worker-without-guard.ts'] },
      async fault({ workers: [worker] }, random) {
        await someTime(random, 3_000)
        // Only what it holds while others go on can be older than theirs.
        const hung = worker?.says('hangs with state in its hands')
        worker?.signal('SIGUSR2')
        await hung
      },
      afterwards: ({ workers: [worker] }) => wake(worker, cluster.servers),
    })
    reportOutcome(outcome, true)
    expect(outcome.lost).toBe(0)
    expect(outcome.stale).not.toEqual([])
  })

  it('a worker whose group begins at the end loses what nobody had read when its offsets were gone', async () => {
    await expectLoss((seed) =>
      runScenario(cluster, {
        ...{ name: 'fromBeginning: false', seed, workers: 1, patienceSeconds: 15 },
        workerCommand: ['test/variants/worker-from-end.ts'],
        async fault({ workers: [worker] }) {
          await worker?.stop('SIGTERM')
          await delay(2_000)
          await withAdmin(cluster.servers.kafka, (admin) => admin.deleteGroups([INGEST_GROUP]))
          await worker?.start()
        },
      }),
    )
  })

  it("a worker that leaves it to InfluxDB's client loses what was refused for a second", async () => {
    const proxy = await startFaultProxy(cluster.servers.influxdb.url)
    onTestFinished(() => proxy.close())
    await expectLoss((seed) =>
      runScenario(cluster, {
        ...{ name: "the InfluxDB client's own buffer", seed, patienceSeconds: 15 },
        workerCommand: ['test/variants/worker-with-client-buffer.ts'],
        workerEnv: { INFLUX_URL: proxy.url },
        async fault(_cluster, random) {
          await someTime(random, 1_000)
          proxy.fail({ kind: 'answer', status: 401 }, { path: '/write' })
          await proxy.met(1)
          await delay(1_000)
          proxy.heal()
        },
      }),
    )
  })
})
