import { expect, it } from 'vitest'
import { RAW, keyIn, record } from '../../contract/log-harness.ts'
import { newPrefix } from '../../contract/log-kafka-harness.ts'
import { MemoryFacts } from '../../fakes/memory-facts.ts'
import { useTopics } from './topic-tools.ts'

const { open, alter } = useTopics(3)

it('a lower min.insync.replicas is a state with a name, and the log works on', async () => {
  const own = { prefix: newPrefix(), facts: new MemoryFacts() }
  const topic = `${own.prefix}telemetry.raw`
  expect(await (await open(own)).durability()).toMatchObject({
    ok: true,
    detail: expect.stringContaining('3 replicas, 2 of them in sync') as string,
  })
  await alter(topic, { 'min.insync.replicas': '1' })
  const log = await open(own)
  expect(await log.durability()).toMatchObject({
    ok: false,
    detail: expect.stringMatching(/^log_not_durable: .*telemetry\.raw: .*min\.insync\.replicas 1/) as string,
  })
  await log.append(RAW, [record(keyIn(log, 0), 'one')])
  await alter(topic, { 'min.insync.replicas': '2', 'unclean.leader.election.enable': 'true' })
  expect(await (await open(own)).durability()).toMatchObject({
    ok: false,
    detail: expect.stringContaining('unclean.leader.election.enable is true') as string,
  })
})
