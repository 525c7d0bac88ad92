import { untilInSync } from '../../integration/log/leader-move.ts'
import { expectKept, rateFor, runScenario, scenario, someTime, useServers } from './harness.ts'

/** Replication 3, min ISR 2. */
const cluster = useServers(3)

// The broker that is killed stays away until all goes on without it, and comes back under load.
scenario('one of three Kafka brokers killed', async (name, seed) => {
  const servers = cluster.servers.kafka
  const victim = servers.processes[seed % 3]
  const outcome = await runScenario(cluster, {
    ...{ name, seed, rate: rateFor(25), isLogDisturbed: true },
    async fault(_cluster, random) {
      await someTime(random, 2_000)
      await victim?.stop('SIGKILL')
    },
    async recovered() {
      await victim?.start()
      await untilInSync({ servers, topic: 'telemetry.raw' })
    },
  })
  expectKept(outcome)
})
