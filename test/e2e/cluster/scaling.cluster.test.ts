import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { expectKept, FULL, LIMIT_MS, runScenario, SEEDS, useServers } from './harness.ts'

const cluster = useServers()
const EVERY_MS = 5_000
const SCALING_MS = FULL ? 180_000 : 60_000

describe.each(SEEDS)('workers that come and go under load, seed %i', (seed) => {
  it('one more or one less every few seconds', { timeout: LIMIT_MS + SCALING_MS }, async () => {
    const codes = new Set<number | null>()
    const outcome = await runScenario(cluster, {
      // Less load: every worker that starts takes a second of processor time from what is under test.
      ...{ name: 'workers added and removed', seed, rate: 1_000 },
      async fault(running, random) {
        const end = Date.now() + SCALING_MS
        while (Date.now() < end) {
          const [oldest] = running.workers
          const isMore = running.workers.length < 2 || (running.workers.length < 4 && random() < 0.5)
          const pause = delay(EVERY_MS)
          if (isMore || oldest === undefined) await running.addWorker()
          else codes.add(await running.removeWorker(oldest))
          await pause
        }
      },
    })
    expectKept(outcome)
    expect([...codes]).toEqual([0])
  })
})
