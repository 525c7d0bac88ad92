import { toSluiceError } from '../../shared/errors.ts'
import type { LogBatch, LogTopic, PartitionOffsets, TelemetryLog } from '../../shared/log/port.ts'
import type { Logger } from '../../shared/process/logger.ts'

/** Records read in a second per partition; what comes faster is skipped, so that watching never slows storing. */
const READ_PER_TICK: Readonly<Record<LogTopic, number>> = { 'telemetry.raw': 10_000, 'telemetry.dead-letter': 500 }
const MAX_BATCH = 500

export interface TailOptions {
  readonly log: TelemetryLog
  readonly logger: Logger
  /** The next batch of the partition is read when it resolves. */
  readonly onBatch: (batch: LogBatch) => Promise<void>
  /** Records that were passed over because more came than is read, or because retention took them. */
  readonly onSkipped: (records: number) => void
}

/** Both topics of the log from where they ended when it was started, without a group, at a bounded rate. */
export class LogTail {
  readonly #options: TailOptions
  readonly #stop = new AbortController()
  readonly #letterPositions = new Map<number, number>()
  readonly #runs = new Map<string, Promise<void>>()
  /** So many the log had when they were followed. */
  #partitions = 0
  #tick = { count: 0, over: Promise.withResolvers<void>() }

  private constructor(options: TailOptions) {
    this.#options = options
  }

  /** Resolves when it is settled where reading begins: what is appended from then on is seen. */
  static async start(options: TailOptions): Promise<LogTail> {
    const tail = new LogTail(options)
    await tail.#followAll(({ end }) => end)
    return tail
  }

  /** Follows the partitions that are not followed yet. */
  async #followAll(startOf: (offsets: PartitionOffsets) => number): Promise<void> {
    const { log } = this.#options
    const { partitions } = log
    const topics = ['telemetry.raw', 'telemetry.dead-letter'] as const
    const offsets = await Promise.all(topics.map((topic) => log.offsets(topic)))
    for (const [index, topic] of topics.entries()) {
      for (const found of offsets[index] ?? []) {
        const { partition } = found
        const name = `${topic}/${partition}`
        if (this.#runs.has(name) || this.#stop.signal.aborted) continue
        if (topic === 'telemetry.dead-letter') this.#letterPositions.set(partition, startOf(found))
        this.#runs.set(name, this.#follow(topic, partition, startOf(found)))
      }
    }
    this.#partitions = partitions
  }

  /** Per partition of the dead letters the next offset that `onBatch` will be called with. */
  letterPositions(): ReadonlyMap<number, number> {
    return new Map(this.#letterPositions)
  }

  /** To be called once a second: what may be read starts anew. */
  tick(): void {
    this.#tick.over.resolve()
    this.#tick = { count: this.#tick.count + 1, over: Promise.withResolvers() }
    if (this.#options.log.partitions !== this.#partitions) void this.#followMore()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#tick.over.resolve()
    await Promise.all(this.#runs.values())
  }

  /** The log has more partitions by now, of which all is new. What fails is tried again at the next tick. */
  async #followMore(): Promise<void> {
    try {
      await this.#followAll(({ start }) => start)
    } catch (error) {
      this.#options.logger.debug({ err: toSluiceError(error) }, 'partitions that are new cannot be followed yet')
    }
  }

  async #follow(topic: LogTopic, partition: number, start: number): Promise<void> {
    let next = start
    const signal = this.#stop.signal
    while (!signal.aborted) {
      try {
        next = await this.#skipAhead(topic, partition, next)
        next = await this.#read(topic, partition, next)
      } catch (error) {
        if (signal.aborted) return
        this.#options.logger.warn({ err: toSluiceError(error), topic, partition }, 'the live view cannot read the log')
      }
      if (!signal.aborted) await this.#tick.over.promise
    }
  }

  /** Reads until this second's share is used up. Returns where it stopped. */
  async #read(topic: LogTopic, partition: number, from: number): Promise<number> {
    const { log, onBatch, onSkipped } = this.#options
    const signal = this.#stop.signal
    let next = from
    let second = this.#tick.count
    let left = READ_PER_TICK[topic]
    for await (const batch of log.read({
      topic,
      partition,
      from: { offset: next },
      maxRecords: MAX_BATCH,
      follow: true,
      signal,
    })) {
      if (signal.aborted) return next
      if (batch.firstOffset > next) onSkipped(batch.firstOffset - next)
      next = batch.firstOffset + batch.records.length
      if (topic === 'telemetry.dead-letter') this.#letterPositions.set(partition, next)
      await onBatch(batch)
      if (this.#tick.count !== second) {
        second = this.#tick.count
        left = READ_PER_TICK[topic]
      }
      left -= batch.records.length
      if (left <= 0) break
    }
    return next
  }

  async #skipAhead(topic: LogTopic, partition: number, next: number): Promise<number> {
    const offsets = await this.#options.log.offsets(topic)
    const end = offsets.find((entry) => entry.partition === partition)?.end ?? next
    const target = Math.max(next, end - READ_PER_TICK[topic])
    if (target > next) {
      this.#options.onSkipped(target - next)
      if (topic === 'telemetry.dead-letter') this.#letterPositions.set(partition, target)
    }
    return target
  }
}
