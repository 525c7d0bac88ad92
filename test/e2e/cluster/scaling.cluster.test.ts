import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { expectKept, rateFor, runScenario, scenario, useServers } from './harness.ts'

const cluster = useServers()
const EVERY_MS = 5_000
const SCALING_MS = 180_000

scenario('workers added and removed for 3 minutes', async (name, seed) => {
  const codes = new Set<number | null>()
  const outcome = await runScenario(cluster, {
    ...{ name, seed, rate: rateFor(SCALING_MS / 1000) },
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
