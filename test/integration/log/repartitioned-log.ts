import { onTestFinished, vi } from 'vitest'
import { pause } from '../../../shared/backoff.ts'
import { INGEST_GROUP, type LogBatch, type LogConsumer, type TelemetryLog } from '../../../shared/log/port.ts'
import { askRepartition } from '../../../shared/log/kafka/repartition.ts'
import { parsePartitioning, type Partitioning } from '../../../shared/log/kafka/partitioning.ts'
import { partitioningFact } from '../../../shared/log/kafka/topic-notes.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import type { Facts } from '../../../shared/registry/facts-port.ts'
import { codeOf, PARTITIONS, RAW, record } from '../../contract/log-harness.ts'
import { newPrefix } from '../../contract/log-kafka-harness.ts'
import { PATIENCE } from '../../patience.ts'
import type { useTopics } from './topic-tools.ts'

const DEVICES = 40

/** A log that two processes append to and two read, with the notes of one of them; all in this process. */
export class RepartitionedLog {
  readonly prefix = newPrefix()
  readonly facts: Facts
  readonly #topics: ReturnType<typeof useTopics>
  readonly #stop = new AbortController()
  readonly #logs: TelemetryLog[] = []
  readonly #loads: Promise<void>[] = []
  /** Of each device the numbers that were acknowledged and that were read, in their order; what is read again is left out. */
  readonly sent = new Map<string, number[]>()
  readonly read = new Map<string, number[]>()
  readonly #seen = new Set<string>()
  /** With which the new partitions began. */
  readonly notes = new Map<number, string | undefined>()
  /** Until then nothing is read. */
  readonly #held = Promise.withResolvers<void>()
  #hasNew = false

  constructor(topics: ReturnType<typeof useTopics>, facts: Facts) {
    this.#topics = topics
    this.facts = facts
    onTestFinished(() => this.#stop.abort())
  }

  async now(): Promise<Partitioning | undefined> {
    const text = await this.facts.get(partitioningFact(`${this.prefix}${RAW}`))
    return text === undefined ? undefined : parsePartitioning(text)
  }

  async open(member: string): Promise<TelemetryLog> {
    const log = await this.#topics.open({ prefix: this.prefix, facts: this.facts, member })
    this.#logs.push(log)
    return log
  }

  /** Each device sends its next number to the other process when the last one is acknowledged. */
  async load(logs: readonly TelemetryLog[]): Promise<void> {
    for (let n = 0; n < DEVICES; n++) this.#loads.push(this.#send(`acme/device-${n}`, logs))
    await vi.waitUntil(() => this.sent.size === DEVICES, PATIENCE)
  }

  async #send(key: string, logs: readonly TelemetryLog[]): Promise<void> {
    for (let n = 0; !this.#stop.signal.aborted; n++) {
      await logs[n % logs.length]?.append(RAW, [record(key, `${n}`)])
      note(this.sent, key, n)
      // Some 2,000 in a second: less than one process reads on a machine that has other things to do.
      await pause(20, this.#stop.signal)
    }
  }

  async consume(log: TelemetryLog): Promise<void> {
    const consumer: LogConsumer = await log.consume({
      topic: RAW,
      group: INGEST_GROUP,
      maxRecords: 50,
      onAssigned: ({ partition, note: noted }) => {
        if (partition < PARTITIONS) return
        this.#hasNew = true
        this.notes.set(partition, this.notes.get(partition) ?? noted)
      },
      onBatch: async (batch, signal) => {
        await this.#take(batch, signal)
        const offset = batch.firstOffset + batch.records.length
        if (!signal.aborted)
          await codeOf(consumer.commit([{ partition: batch.partition, offset, note: `of ${batch.partition}` }]))
      },
      onError: (error) => {
        throw error
      },
    })
    onTestFinished(() => consumer.close())
  }

  async #take({ records }: LogBatch, signal: AbortSignal): Promise<void> {
    const ended = new Promise((resolve) => signal.addEventListener('abort', resolve))
    await Promise.race([this.#held.promise, ended])
    // The pace of a store: those who read the new partitions get ahead of those who read the backlog, if they may.
    await pause(5, signal)
    if (signal.aborted) return
    for (const { key, value } of records) {
      const n = Number(Buffer.from(value).toString())
      const name = `${key} ${n}`
      if (this.#seen.has(name)) continue
      this.#seen.add(name)
      note(this.read, key, n)
    }
  }

  async grow(): Promise<void> {
    await this.#topics.grow(`${this.prefix}telemetry.raw`, 2 * PARTITIONS)
    await this.#topics.grow(`${this.prefix}telemetry.dead-letter`, 2 * PARTITIONS)
  }

  ask(without: readonly string[] = []): Promise<Partitioning> {
    const { brokers } = this.#topics.cluster.kafka
    const logger = createLogger('silent')
    return askRepartition({ clientId: 'ask', brokers, prefix: this.prefix, facts: this.facts, logger }, { without })
  }

  /** Lets the consumers read, when only what is not stored yet keeps the new partitions from them, or nothing does. */
  async letRead(): Promise<void> {
    await vi.waitUntil(async () => this.#hasNew || (await this.now())?.state === 'switched', PATIENCE)
    this.#held.resolve()
  }

  /** Resolves with what holds when the change is over. */
  async settled(epoch = 1): Promise<Partitioning> {
    return vi.waitUntil(async () => {
      const now = await this.now()
      return now?.state === 'settled' && now.epoch === epoch ? now : undefined
    }, PATIENCE)
  }

  /** Ends the load; resolves when everything was read. */
  async finish(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#loads)
    const count = (of: ReadonlyMap<string, number[]>) => [...of.values()].reduce((sum, all) => sum + all.length, 0)
    await vi.waitUntil(() => count(this.read) >= count(this.sent), { timeout: 60_000 })
  }
}

function note(into: Map<string, number[]>, key: string, n: number): void {
  const all = into.get(key) ?? []
  all.push(n)
  into.set(key, all)
}
