import { expect } from 'vitest'
import { expectKept, runScenario, scenario, someTime, useServers } from './harness.ts'

const cluster = useServers()

/** Writes come many times a second; checkpoints about once. */
const POINTS = [
  ['worker killed before the write', 'before-write', 40],
  ['worker killed between the stores', 'between-stores', 4],
  ['worker killed after both stores', 'after-both', 4],
  ['worker killed before the commit', 'before-commit', 4],
] as const

for (const [point, where, atMost] of POINTS) {
  scenario(point, async (name, seed) => {
    const outcome = await runScenario(cluster, {
      ...{ name, seed },
      async fault({ workers: [worker] }, random) {
        await someTime(random, 500)
        await worker?.stop('SIGTERM')
        for (let kill = 0; kill < 2; kill += 1) {
          const count = 1 + Math.floor(random() * atMost)
          // It may be dead before it is ready.
          const starting = worker?.start(['test/variants/killed-worker.ts', where, String(count)])
          await Promise.allSettled([starting])
          expect(await worker?.gone()).toBeNull()
        }
        await worker?.start()
      },
    })
    expectKept(outcome)
  })
}
