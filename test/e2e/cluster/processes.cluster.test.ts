import { expect } from 'vitest'
import { expectKept, runScenario, scenario, someTime, useServers } from './harness.ts'
import { wake } from './wake.ts'

const cluster = useServers()

scenario('worker kill -9', async (name, seed) => {
  const outcome = await runScenario(cluster, {
    ...{ name, seed },
    async fault({ workers }, random) {
      for (let kill = 0; kill < 4; kill += 1) {
        const victim = workers[kill % workers.length]
        await someTime(random, 800)
        await victim?.stop('SIGKILL')
        await victim?.start()
      }
    },
  })
  expectKept(outcome)
})

// It wakes when another has done all of its work.
scenario('worker hangs, and wakes', async (name, seed) => {
  const outcome = await runScenario(cluster, {
    ...{ name, seed, isLogDisturbed: true },
    async fault({ workers: [worker] }, random) {
      await someTime(random, 3_000)
      worker?.signal('SIGSTOP')
    },
    afterwards: ({ workers: [worker] }) => wake(worker, cluster.servers),
  })
  expectKept(outcome)
})

scenario('broker kill -9', async (name, seed) => {
  const outcome = await runScenario(cluster, {
    ...{ name, seed },
    async fault({ broker }, random) {
      for (let kill = 0; kill < 3; kill += 1) {
        await someTime(random, 1_000)
        await broker.stop('SIGKILL')
        await broker.start()
      }
    },
  })
  expectKept(outcome)
})

// The processes of Sluice, and then the servers, one after the other.
scenario('rolling restart of everything', async (name, seed) => {
  const codes: Record<string, number | null> = {}
  const outcome = await runScenario(cluster, {
    ...{ name, seed },
    async fault({ workers, broker, api }, random) {
      for (const member of [...workers, broker, api]) {
        await someTime(random, 300)
        codes[member.name] = await member.stop('SIGTERM')
        await member.start()
      }
      const { kafka, influxdb, mariadb, sessions, cache } = cluster.servers
      for (const server of [...kafka.processes, ...[influxdb, mariadb, sessions, cache].map((one) => one.process)]) {
        await someTime(random, 300)
        await server.stop('SIGTERM')
        await server.start()
      }
    },
  })
  expectKept(outcome)
  expect(codes).toEqual({ 'ingest-worker-1': 0, 'ingest-worker-2': 0, broker: 0, 'query-api': 0 })
})
