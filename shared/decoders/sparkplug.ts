import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { faultOfRecord } from '../faults.ts'
import { JsonText } from './json-text-writer.ts'
import type { PayloadDecoder } from './payload-decoder.ts'
import { readMetric, type Metric } from './sparkplug-metric.ts'
import { SparkplugValues } from './sparkplug-values.ts'

/** Metrics of one payload: as many as there may be readings. */
const MAX_METRICS = 10_000

interface Payload {
  readonly ms: bigint | undefined
  readonly metrics: readonly Metric[]
}

/**
 * Payloads of Sparkplug B (org.eclipse.tahu.protobuf.Payload). Metrics of one time are one reading, at their own time or
 * else that of the payload. What a metric is called is said by the birth of its node: one that is sent by its alias alone is
 * the field `alias.{number}`.
 */
export const sparkplugB: PayloadDecoder = {
  read(payload, { policy }) {
    const text = new JsonText(policy.bytes)
    try {
      const read = readPayload(new BinaryReader(payload))
      write(read, policy.time_keys[0] ?? 'ts', text)
    } catch (error) {
      // The reader throws for what ends too early and for lengths that are none.
      return faultOfRecord('payload_not_as_declared', error instanceof Error ? error.message : String(error))
    }
    return text.isFull ? faultOfRecord('payload_not_as_declared', 'it becomes too much text') : text.toBytes()
  },
}

function readPayload(reader: BinaryReader): Payload {
  let ms: bigint | undefined
  const metrics: Metric[] = []
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag()
    if (number === 1 && type === WireType.Varint) ms = BigInt(reader.uint64())
    else if (number === 2 && type === WireType.LengthDelimited) {
      if (metrics.length >= MAX_METRICS) throw new RangeError(`more than ${MAX_METRICS} metrics`)
      metrics.push(readMetric(reader.bytes()))
    } else reader.skip(type, number)
  }
  return { ms, metrics }
}

function write({ ms, metrics }: Payload, timeKey: string, text: JsonText): void {
  const values = new SparkplugValues(text)
  const byTime = Map.groupBy(metrics, (metric) => metric.ms ?? ms)
  text.beginArray()
  for (const [at, some] of byTime) {
    text.beginObject()
    if (at !== undefined) {
      text.key(timeKey)
      text.integer(at)
    }
    for (const metric of some) values.metric(metric)
    text.endObject()
  }
  text.endArray()
}
