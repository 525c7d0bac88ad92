import { describe, expect, it } from 'vitest'
import { expectKept, LIMIT_MS, runScenario, SEEDS, someTime, useServers } from './harness.ts'

const cluster = useServers()

/** Writes come many times a second; checkpoints about once. */
const POINTS = [
  ['before-write', 40],
  ['between-stores', 4],
  ['after-both', 4],
  ['before-commit', 4],
] as const

describe.each(SEEDS)('a worker killed at an exact point, seed %i', (seed) => {
  it.each(POINTS)('%s', { timeout: LIMIT_MS }, async (point, atMost) => {
    const outcome = await runScenario(cluster, {
      ...{ name: `worker killed ${point}`, seed },
      async fault({ workers: [worker] }, random) {
        await someTime(random, 500)
        await worker?.stop('SIGTERM')
        for (let kill = 0; kill < 2; kill += 1) {
          const count = 1 + Math.floor(random() * atMost)
          // It may be dead before it is ready.
          const starting = worker?.start(['test/variants/killed-worker.ts', point, String(count)])
          await Promise.allSettled([starting])
          expect(await worker?.gone()).toBeNull()
        }
        await worker?.start()
      },
    })
    expectKept(outcome)
  })
})
