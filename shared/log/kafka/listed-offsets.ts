import { SluiceError } from '../../errors.ts'
import type { KafkaClient } from './client.ts'
import { KafkaCode, partitionError } from './kafka-error.ts'
import { decodeRecordBatches, type Run } from './record-batch.ts'
import {
  fetchRequest,
  ListedTime,
  LIST_NEWEST,
  LIST_OFFSETS_LEAST,
  type ListedOffset,
  listOffsetsRequest,
} from './requests.ts'
import { ApiKey } from './topic-requests.ts'

/** Enough for one batch; whole batches come in any case. */
const PEEK_BYTES = 16 * 1024

/**
 * Asks the leader of these partitions where a time lies in them. A server that cannot be asked for the newest time (Kafka
 * before 3.0, Redpanda) is asked for its last record instead: of several nodes that write at once it may be some
 * milliseconds older. Rejects with a SluiceError, also for the first partition that is refused.
 */
export async function listOffsets(
  client: KafkaClient,
  node: number,
  { topic, partitions, time }: { topic: string; partitions: readonly number[]; time: number },
): Promise<readonly ListedOffset[]> {
  const known = await client.maxVersion(node, ApiKey.listOffsets)
  const version = Math.min(LIST_NEWEST, Math.max(LIST_OFFSETS_LEAST, known))
  const ask = async (at: number) => {
    const results = await client.send(node, listOffsetsRequest(topic, partitions, at, version))
    const refused = results.find(({ code }) => code !== KafkaCode.none)
    if (refused !== undefined) throw partitionError(refused.code, `a question about partition ${refused.partition}`)
    return results
  }
  if (time !== ListedTime.newest || version >= LIST_NEWEST) return ask(time)
  const last = (await ask(ListedTime.end)).map((result) => ({ ...result, offset: result.offset - 1 }))
  const wanted = last.filter(({ offset }) => offset >= 0).map(({ partition, offset }) => ({ topic, partition, offset }))
  const limits = { maxWaitMs: 0, maxBytes: PEEK_BYTES * wanted.length, partitionBytes: PEEK_BYTES }
  const fetched = wanted.length === 0 ? [] : await client.send(node, fetchRequest(wanted, limits))
  return last.map((result) => {
    const bytes = fetched.find(({ partition }) => partition === result.partition)?.bytes
    const runs = bytes === undefined ? [] : runsOf(bytes, result.offset)
    const record = runs.at(-1)?.records.at(-1)
    return record === undefined ? { ...result, ms: -1, offset: -1 } : { ...result, ms: record.ms }
  })
}

/** None where they are damaged: whoever reads the partition is told, and whoever asks about all of them still knows the rest. */
export function runsOf(bytes: Buffer, from: number): Run[] {
  try {
    return decodeRecordBatches(bytes, from).runs
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'log_corrupt') return []
    throw error
  }
}
