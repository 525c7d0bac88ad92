import { expect, it, onTestFinished, vi } from 'vitest'
import { KafkaClient } from '../../../shared/log/kafka/client.ts'
import { ApiKey } from '../../../shared/log/kafka/topic-requests.ts'
import { keyIn, RAW, readAll, record, startConsumer, textsOf } from '../../contract/log-harness.ts'
import { newPrefix, openOnKafka, useKafka } from '../../contract/log-kafka-harness.ts'
import { PATIENCE } from '../../patience.ts'

const cluster = useKafka(1)

/** The server says that it knows no newer version of ListOffsets; a real one takes the older ones all the same. What is sent. */
function atMost(version: number): Set<number> {
  const { maxVersion, send } = KafkaClient.prototype
  vi.spyOn(KafkaClient.prototype, 'maxVersion').mockImplementation(async function (this: KafkaClient, node, key) {
    const known = await maxVersion.call(this, node, key)
    return key === ApiKey.listOffsets ? Math.min(known, version) : known
  })
  const sent = new Set<number>()
  vi.spyOn(KafkaClient.prototype, 'send').mockImplementation(function (this: KafkaClient, node, request) {
    if (request.request.apiKey === ApiKey.listOffsets) sent.add(request.request.apiVersion)
    return send.call(this, node, request)
  })
  onTestFinished(() => void vi.restoreAllMocks())
  return sent
}

it.each([4, 5, 6, 7])('a server that knows ListOffsets up to %i is asked so, and everything works', async (version) => {
  const sent = atMost(version)
  const log = await openOnKafka(cluster.kafka, { prefix: newPrefix() })
  onTestFinished(() => log.close())
  const key = keyIn(log, 0)
  const now = Date.now()
  expect((await log.offsets(RAW))[0]).toEqual({ partition: 0, start: 0, end: 0, newest: undefined })
  await log.append(RAW, [record(key, 'one', now - 2_000, 5), record(key, 'two', now - 1_000, 7)])
  await log.append(RAW, [record(key, 'three', now, 9)])
  expect((await log.offsets(RAW))[0]).toEqual({ partition: 0, start: 0, end: 3, newest: { ms: now, ns: 9 } })
  const from = { time: { ms: now - 1_500, ns: 0 } }
  expect(textsOf(await readAll(log, 0, { from }))).toEqual(['two', 'three'])
  const consumer = await startConsumer(log)
  await consumer.until(3)
  await consumer.commit([{ partition: 0, offset: 2 }])
  await vi.waitFor(async () => expect((await log.lag(RAW, 'worker'))[0]).toMatchObject({ records: 1 }), PATIENCE)
  expect([...sent]).toEqual([version])
})
