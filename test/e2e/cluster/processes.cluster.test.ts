import { describe, expect, it } from 'vitest'
import { expectKept, LIMIT_MS, runScenario, SEEDS, someTime, useServers } from './harness.ts'

const cluster = useServers()

describe.each(SEEDS)('processes that end under load, seed %i', (seed) => {
  it('workers killed again and again', { timeout: LIMIT_MS }, async () => {
    const outcome = await runScenario(cluster, {
      name: 'worker kill -9',
      seed,
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

  it('the broker killed again and again', { timeout: LIMIT_MS }, async () => {
    const outcome = await runScenario(cluster, {
      name: 'broker kill -9',
      seed,
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

  it('everything restarted, one after the other', { timeout: LIMIT_MS }, async () => {
    const codes: Record<string, number | null> = {}
    const outcome = await runScenario(cluster, {
      name: 'rolling restart',
      seed,
      async fault({ workers, broker, api }, random) {
        for (const member of [...workers, broker, api]) {
          await someTime(random, 300)
          codes[member.name] = await member.stop('SIGTERM')
          await member.start()
        }
      },
    })
    expectKept(outcome)
    expect(codes).toEqual({ 'ingest-worker-1': 0, 'ingest-worker-2': 0, broker: 0, 'query-api': 0 })
  })
})
