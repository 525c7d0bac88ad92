import { setTimeout as delay } from 'node:timers/promises'
import { lasting } from '../../long.ts'
import { expectKept, rateFor, runScenario, scenario, someTime, useServers } from './harness.ts'

const cluster = useServers()
/** Longer than an append is waited for before it is given up and repeated. */
const STOPPED_MS = lasting({ gate: 35_000, long: 60_000 })
/** Longer than a request and a session of a worker last. */
const HANGING_MS = 15_000

// What is due meanwhile comes in one rush afterwards, so there is less of it.
scenario('Kafka stopped', async (name, seed) => {
  const outcome = await runScenario(cluster, {
    ...{ name, seed, rate: rateFor(STOPPED_MS / 1000), isLogDisturbed: true },
    async fault(_cluster, random) {
      await someTime(random, 1_000)
      const [kafka] = cluster.servers.kafka.processes
      await kafka?.stop('SIGKILL')
      await delay(STOPPED_MS)
      await kafka?.start()
    },
  })
  expectKept(outcome)
})

scenario('Kafka hangs', async (name, seed) => {
  const outcome = await runScenario(cluster, {
    ...{ name, seed, rate: rateFor(20), isLogDisturbed: true },
    async fault(_cluster, random) {
      await someTime(random, 1_000)
      const [kafka] = cluster.servers.kafka.processes
      kafka?.signal('SIGSTOP')
      await delay(HANGING_MS)
      kafka?.signal('SIGCONT')
    },
  })
  expectKept(outcome)
})
