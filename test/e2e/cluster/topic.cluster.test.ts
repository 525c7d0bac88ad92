import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, vi } from 'vitest'
import type { Member } from '../../../load-tests/cluster/member.ts'
import { alterTopic, growTopic, NEXT_LOOK } from '../../integration/log/topic-tools.ts'
import { expectKept, rateFor, runScenario, scenario, someTime, useServers } from './harness.ts'

const cluster = useServers()
const TOPIC = 'telemetry.raw'
const UNUSED = `sluice_kafka_unused_partitions{topic="${TOPIC}"}`
const DIFFERENCES = `sluice_kafka_topic_differences{topic="${TOPIC}"}`

/** It has seen the topic as it is now, takes work, and finds the log durable. */
async function untilContent(member: Member): Promise<void> {
  await vi.waitFor(async () => {
    const [unused, differences] = [await member.metric(UNUSED), await member.metric(DIFFERENCES)]
    const { ready, checks } = await member.readiness()
    const failing = checks.filter(({ ok }) => !ok)
    expect({ unused, differences, ready, failing }, member.name).toEqual({
      ...{ unused: 12, differences: 1, ready: true, failing: [] },
    })
  }, NEXT_LOOK)
}

/** What `./sluice log apply` answers. */
async function applied(env: Readonly<Record<string, string>>): Promise<{ changes: unknown }[]> {
  const key = { CREDENTIAL_KEY_FILE: join(cluster.folder, 'services', 'credential-key') }
  const { stdout } = await promisify(execFile)('./sluice', ['log', 'apply', '--json'], {
    env: { ...process.env, ...env, ...key },
  })
  return (JSON.parse(stdout) as { topics: { changes: unknown }[] }).topics
}

// Partitions change hands when the worker comes that starts behind the change.
scenario('topic changed by somebody', async (name, seed) => {
  const outcome = await runScenario(cluster, {
    ...{ name, seed, rate: rateFor(60), isLogDisturbed: true },
    async fault(processes, random) {
      await someTime(random, 1_000)
      const { kafka } = cluster.servers
      await alterTopic(kafka, TOPIC, { 'retention.ms': '86400000' })
      await growTopic(kafka, TOPIC, 24)
      const { brokers, apis, workers } = processes
      await Promise.all([...brokers, ...apis, ...workers].map(untilContent))
      // Processes that start now, one of them told the new number.
      const late = processes.addBroker('broker-late', { LOG_PARTITIONS: '24' })
      await Promise.all([late.start(), processes.addWorker()])
      await untilContent(late)
      const { changes } = (await applied(cluster.servers.env))[0] ?? {}
      expect(changes).toEqual([{ setting: 'retention.ms', from: '86400000', to: '604800000' }])
      await vi.waitFor(async () => expect(await late.metric(DIFFERENCES)).toBe(0), NEXT_LOOK)
    },
  })
  expectKept(outcome)
})
