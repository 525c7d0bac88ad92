import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { lasting } from '../../long.ts'
import { expectKept, rateFor, runScenario, scenario, useServers } from './harness.ts'

const cluster = useServers()
const EVERY_MS = 5_000
const SCALING_MS = lasting({ gate: 45_000, long: 180_000 })

scenario('workers added and removed', async (name, seed) => {
  const codes = new Set<number | null>()
  const counts = new Set<number>()
  const outcome = await runScenario(cluster, {
    ...{ name, seed, rate: rateFor(SCALING_MS / 1000) },
    async fault(running, random) {
      const end = Date.now() + SCALING_MS
      // Up to four and down to one; from there on at random.
      const first = [true, true, false, false, false].values()
      while (Date.now() < end || counts.size < 4) {
        const [oldest] = running.workers
        const { length } = running.workers
        // A seed before this one may have left up to four.
        const isMore = length === 1 || (length < 4 && (first.next().value ?? random() < 0.5))
        const pause = delay(EVERY_MS)
        if (isMore || oldest === undefined) await running.addWorker()
        else codes.add(await running.removeWorker(oldest))
        counts.add(running.workers.length)
        await pause
      }
    },
  })
  expectKept(outcome)
  expect([...codes]).toEqual([0])
  expect([...counts].toSorted()).toEqual([1, 2, 3, 4])
})
