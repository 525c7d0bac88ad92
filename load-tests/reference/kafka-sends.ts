import { Kafka, logLevel, Partitioners, type Message, type Producer, type RecordMetadata } from 'kafkajs'
import { partitionOf } from '../../shared/log/partition.ts'
import type { LogTopic, TelemetryLog } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { overriding } from './overriding.ts'

/** Ways to append with kafkajs' own producer. `verified` and `perPartition` are right, and were measured beside ours. */
export type SendKind = 'unverified' | 'idempotent' | 'verified' | 'perPartition'

export interface KafkaSends {
  readonly log: TelemetryLog
  readonly resent: () => number
  close(): Promise<void>
}

/**
 * The log with another way of sending. Known-wrong:
 *
 * - `unverified`: one `send` over all partitions is taken at its word. When a partition's leader moves to a broker that has
 *   answered for its own partitions already, kafkajs never sends it again, and resolves (kafkajs#1303).
 * - `idempotent`: the same with `idempotent: true`, whose rolled-back sequence numbers are used twice as well.
 */
export async function withKafkajsSends(
  log: TelemetryLog,
  options: { kind: SendKind; brokers: readonly string[]; prefix: string },
): Promise<KafkaSends> {
  const { kind, brokers, prefix } = options
  const kafka = new Kafka({ clientId: `variant-${kind}`, brokers: [...brokers], logLevel: logLevel.NOTHING })
  const open = async (): Promise<Producer> => {
    const opened = kafka.producer({
      idempotent: kind === 'idempotent',
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
    })
    await opened.connect()
    return opened
  }
  let producer = await open()
  const send = async (name: string, messages: (Message & { partition: number })[]): Promise<RecordMetadata[]> => {
    try {
      return await (kind === 'perPartition' ? sendEach(producer, name, messages) : sendAll(producer, name, messages))
    } catch (error) {
      // Its sequence numbers are out of order for ever: whoever uses one begins with a new one then.
      if (kind === 'idempotent') {
        await producer.disconnect()
        producer = await open()
      }
      throw error
    }
  }
  let resent = 0
  const append = async (topic: LogTopic, records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>> => {
    const name = prefix + topic
    let due = records.map((record) => messageOf(record, log.partitions))
    const firsts = new Map<number, number>()
    while (due.length > 0) {
      const answers = await send(name, due)
      for (const { partition, baseOffset } of answers) {
        if (!firsts.has(partition)) firsts.set(partition, Number(baseOffset))
      }
      if (kind !== 'verified') break
      due = due.filter(({ partition }) => !answers.some((answer) => answer.partition === partition))
      resent += due.length
    }
    return firsts
  }
  return { log: overriding(log, { append }), resent: () => resent, close: () => producer.disconnect() }
}

function messageOf({ key, value, ms, ns, headers }: LogRecord, partitions: number): Message & { partition: number } {
  return {
    key,
    value: Buffer.from(value),
    partition: partitionOf(key, partitions),
    timestamp: String(ms),
    headers: { ...(ns === 0 ? {} : { ns: String(ns) }), ...headers },
  }
}

function sendAll(producer: Producer, topic: string, messages: Message[]): Promise<RecordMetadata[]> {
  return producer.send({ topic, messages, acks: -1 })
}

async function sendEach(
  producer: Producer,
  topic: string,
  messages: readonly (Message & { partition: number })[],
): Promise<RecordMetadata[]> {
  const partitions = Map.groupBy(messages, ({ partition }) => partition)
  const answers = await Promise.all(Array.from(partitions.values(), (own) => sendAll(producer, topic, own)))
  return answers.flat()
}
