import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { expectKept, LIMIT_MS, runScenario, SEEDS, someTime, useServers, type Outcome } from './harness.ts'

const cluster = useServers()

/** One worker is killed again and again. */
function killed(seed: number, workerCommand: readonly string[]): Promise<Outcome> {
  return runScenario(cluster, {
    ...{ name: `kill -9 of ${workerCommand[0]}`, seed, workerCommand, patienceSeconds: 15 },
    async fault({ workers: [worker] }, random) {
      for (let kill = 0; kill < 3; kill += 1) {
        await someTime(random, 1_000)
        await worker?.stop('SIGKILL')
        await worker?.start()
      }
    },
  })
}

/** One worker hangs in the middle of its work, and wakes when another has done all of it. */
function asleep(seed: number, workerCommand: readonly string[]): Promise<Outcome> {
  return runScenario(cluster, {
    ...{ name: `sleep of ${workerCommand[0]}`, seed, workerCommand },
    async fault({ workers: [worker] }, random) {
      await someTime(random, 3_000)
      worker?.signal('SIGSTOP')
    },
    async afterwards({ workers: [worker] }) {
      worker?.signal('SIGCONT')
      await worker?.stop('SIGTERM')
      // What the cache has may be newer: what the registry has is the question.
      const redis = new Redis(cluster.servers.cache.url)
      await redis.flushall()
      redis.disconnect()
    },
  })
}

describe.each(SEEDS)('what the suites must see, seed %i', (seed) => {
  it('a worker that commits before it writes loses', { timeout: LIMIT_MS }, async () => {
    const outcome = await killed(seed, ['test/variants/worker-that-commits-first.ts'])
    expect(outcome.lost).toBeGreaterThan(0)
  })

  it('a worker whose state is not guarded brings back an old one', { timeout: LIMIT_MS }, async () => {
    const outcome = await asleep(seed, ['test/variants/worker-without-guard.ts'])
    expect(outcome.lost).toBe(0)
    expect(outcome.stale).not.toEqual([])
  })

  it('the worker as it is wakes, and harms nothing', { timeout: LIMIT_MS }, async () => {
    expectKept(await asleep(seed, ['services/ingest-worker/main.ts']))
  })
})
