import { expect, it, onTestFinished } from 'vitest'
import type { SluiceError } from '../../../shared/errors.ts'
import { keyIn, RAW, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'

const cluster = useKafka(1)

it('a consumer of a Kafka that is silent for too long ends, and another one goes on', async () => {
  const log = await openOnKafka(cluster.kafka, { prefix: newPrefix(), silenceMs: 3_000 })
  onTestFinished(() => log.close())
  await log.append(RAW, [record(keyIn(log, 0), 'before')])
  const ended = Promise.withResolvers<SluiceError>()
  const first = await startConsumer(log, { onError: ended.resolve })
  await first.until(1)
  // An idle consumer hears of every fetch that found nothing: it does not end while Kafka answers.
  const [broker] = cluster.kafka.processes
  broker?.signal('SIGSTOP')
  try {
    expect(await ended.promise).toMatchObject({
      code: 'log_unavailable',
      message: expect.stringContaining('3 s') as string,
    })
  } finally {
    broker?.signal('SIGCONT')
  }
  await first.close()
  await log.append(RAW, [record(keyIn(log, 0), 'after')])
  const second = await startConsumer(log)
  await second.until(2)
  expect(textsOf(second.batches)).toEqual(['before', 'after'])
})

it('a consumer that has nothing to do for as long, or is busy for as long, does not end', async () => {
  const log = await openOnKafka(cluster.kafka, { prefix: newPrefix(), silenceMs: 600 })
  onTestFinished(() => log.close())
  const failures: string[] = []
  const busy = Promise.withResolvers<void>()
  const free = Promise.withResolvers<void>()
  const consumer = await log.consume({
    topic: RAW,
    group: 'worker',
    maxRecords: 10,
    onError: ({ message }) => void failures.push(message),
    async onBatch() {
      busy.resolve()
      await free.promise
    },
  })
  onTestFinished(() => consumer.close())
  const looks = () => new Promise((resolve) => setTimeout(resolve, 1_500)) // the time itself is what is tested
  await looks()
  await log.append(RAW, [record(keyIn(log, 0), 'one')])
  await busy.promise
  await looks()
  free.resolve()
  expect(failures).toEqual([])
})
