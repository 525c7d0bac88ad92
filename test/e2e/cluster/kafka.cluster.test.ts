import { setTimeout as delay } from 'node:timers/promises'
import { describe } from 'vitest'
import { lasting } from '../../long.ts'
import { freeze } from './frozen-kafka.ts'
import { type Deployment, expectKept, FULL, rateFor, runScenario, scenario, someTime, useServers } from './harness.ts'

/** Longer than an append is waited for before it is given up and repeated. */
const STOPPED_MS = lasting({ gate: 35_000, long: 60_000 })
/** Longer than two timeouts of a request, and than a session of a worker where there is one seed and time for it. */
const IS_LONG = !FULL && lasting({ gate: false, long: true })
const FROZEN_MS = IS_LONG ? [26_000, 45_000, 65_000] : [26_000]

describe('one broker', () => {
  const cluster = useServers()

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

  for (const frozenMs of FROZEN_MS) {
    scenario('Kafka hangs', (name, seed) => hangs(cluster, { name, seed, frozenMs }))
  }
})

// Not a skip: in the gate one broker stands for them, and a long run has both.
if (IS_LONG) {
  describe('three brokers', () => {
    const replicated = useServers(3)
    for (const frozenMs of FROZEN_MS) {
      scenario('Kafka hangs', (name, seed) => hangs(replicated, { name, seed, frozenMs }))
    }
  })
}

async function hangs(
  deployment: Deployment,
  { frozenMs, ...of }: { name: string; seed: number; frozenMs: number },
): Promise<void> {
  const outcome = await runScenario(deployment, {
    ...{ ...of, rate: rateFor(frozenMs / 1_000 + 5), isLogDisturbed: true },
    async fault(running, random) {
      await someTime(random, 1_000)
      const { kafka } = deployment.servers
      const took = await freeze(kafka, running, frozenMs)
      const what = `${kafka.processes.length} of Kafka's brokers frozen for ${frozenMs} ms`
      process.stdout.write(`${what}, ms until it works again: ${JSON.stringify(took)}\n`)
    },
  })
  expectKept(outcome)
}
