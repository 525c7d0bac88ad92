import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { codeOf, keyIn, RAW, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { lasting } from '../../long.ts'
import { PATIENCE } from '../../patience.ts'

const one = useKafka(1)
const three = useKafka(3)

/**
 * Longer than two timeouts of a request, so that the second one finds a broker that accepts connections and answers nothing.
 * From then on kafkajs took such a connection for a good one, and asked nothing any more until Kafka ended it after 10 min.
 */
const FROZEN_MS = lasting({ gate: [26_000], long: [26_000, 45_000, 65_000] })

/** What happens in it must be over long before a broker ends idle connections. */
const limitOf = (frozenMs: number) => frozenMs + 12 * PATIENCE.timeout

describe('after brokers that were frozen, appends, consumers, lag and durability go on', () => {
  for (const frozenMs of FROZEN_MS) {
    it(`${frozenMs / 1_000} s`, { timeout: limitOf(frozenMs) }, async () => {
      await Promise.all([goesOnAfterFrozen(one.kafka, frozenMs), goesOnAfterFrozen(three.kafka, frozenMs)])
    })
  }
})

async function goesOnAfterFrozen(kafka: typeof one.kafka, frozenMs: number): Promise<void> {
  const log = await openOnKafka(kafka, { prefix: newPrefix() })
  onTestFinished(() => log.close())
  const key = keyIn(log, 0)
  const consumer = await startConsumer(log)
  await log.append(RAW, [record(key, 'before')])
  await consumer.until(1)

  for (const broker of kafka.processes) broker.signal('SIGSTOP')
  // As the broker does: the same record again after a failure.
  const appended = untilIsOk(() => log.append(RAW, [record(key, 'meanwhile')]))
  // Somebody asks all the time, as probes and scrapers do.
  const asking = new AbortController()
  const asked = (async () => {
    while (!asking.signal.aborted) await Promise.allSettled([log.lag(RAW, 'worker'), log.durability()])
  })()
  await new Promise((resolve) => setTimeout(resolve, frozenMs)) // the time itself is what is tested
  for (const broker of kafka.processes) broker.signal('SIGCONT')

  const backMs = performance.now()
  const since = () => Math.round(performance.now() - backMs)
  const took: Record<string, number> = {}
  await Promise.all([
    appended.then(() => (took['append'] = since())),
    vi
      .waitUntil(() => textsOf(consumer.batches).includes('meanwhile'), PATIENCE)
      .then(() => (took['consumer'] = since())),
    untilIsOk(() => log.lag(RAW, 'worker')).then(() => (took['lag'] = since())),
    vi.waitUntil(async () => (await log.durability()).ok, PATIENCE).then(() => (took['durability'] = since())),
  ])
  asking.abort()
  await asked
  expect(await codeOf(log.append(RAW, [record(key, 'after')]))).toBe('no error')
  process.stdout.write(
    `${kafka.brokers.length} brokers frozen for ${frozenMs} ms, back after ${JSON.stringify(took)}\n`,
  )
}

async function untilIsOk(question: () => Promise<unknown>): Promise<void> {
  for (let code = ''; code !== 'no error';) {
    code = await codeOf(question())
    expect(['no error', 'log_unavailable']).toContain(code)
  }
}
