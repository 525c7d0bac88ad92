import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, vi } from 'vitest'
import { growTopic, NEXT_LOOK } from '../../integration/log/topic-tools.ts'
import { expectKept, rateFor, runScenario, scenario, someTime, useServers } from './harness.ts'

const cluster = useServers()
const TOPIC = 'telemetry.raw'
const SLUICE = join(import.meta.dirname, '../../../sluice')
const UNUSED = `sluice_kafka_unused_partitions{topic="${TOPIC}"}`
/** Somebody asks again when a process was killed for longer than it may be missing. */
const ASKS = 4

/** `./sluice log repartition`, killed with kill -9 once it has said this. */
async function repartition(killAt?: string): Promise<{ code: number | null; error: string }> {
  const env = { ...process.env, ...cluster.servers.env }
  const key = { CREDENTIAL_KEY_FILE: join(cluster.folder, 'services', 'credential-key') }
  const child = spawn(SLUICE, ['log', 'repartition'], {
    env: { ...env, ...key },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let error = ''
  createInterface({ input: child.stderr }).on('line', (line) => {
    error += `${line}\n`
    if (killAt !== undefined && line.includes(killAt)) child.kill('SIGKILL')
  })
  await once(child, 'close')
  return { code: child.exitCode, error }
}

scenario('partitions taken in', async (name, seed) => {
  const outcome = await runScenario(cluster, {
    ...{ name, seed, brokers: 2, workers: 2, devices: 100, rate: rateFor(60), isLogDisturbed: true },
    async fault({ broker, brokers, workers }, random) {
      const [, idle] = brokers
      const [worker] = workers
      if (idle === undefined || worker === undefined) throw new Error('two brokers and two workers are needed')
      await growTopic(cluster.servers.kafka, TOPIC, 24)
      idle.signal('SIGSTOP')
      const hanging = await repartition()
      expect(hanging).toMatchObject({
        code: 1,
        error: expect.stringMatching(/not heard by broker\/.*--without/s) as string,
      })
      idle.signal('SIGCONT')
      await repartition('asked')
      await someTime(random, 600)
      await Promise.all([worker, broker].map((member) => member.stop('SIGKILL')))
      await Promise.all([worker, broker].map((member) => member.start()))
      for (let asks = 1; (await repartition()).code !== 0; asks += 1) expect(asks).toBeLessThan(ASKS)
    },
    async recovered({ brokers }) {
      for (const one of brokers) await vi.waitFor(async () => expect(await one.metric(UNUSED)).toBe(0), NEXT_LOOK)
    },
    async afterwards(processes) {
      const { partitions } = await processes.get<{ partitions: { end: number }[] }>('/v1/log')
      expect(partitions).toHaveLength(24)
      expect(partitions.slice(12).filter(({ end }) => end > 0).length).toBeGreaterThan(6)
    },
  })
  expectKept(outcome)
})
