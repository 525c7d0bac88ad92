import { toSluiceError } from '../../shared/errors.ts'
import type { LogBatch, LogTopic, TelemetryLog } from '../../shared/log/port.ts'
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
  #runs: readonly Promise<void>[] = []
  #tick = { count: 0, over: Promise.withResolvers<void>() }

  private constructor(options: TailOptions) {
    this.#options = options
  }

  /** Resolves when it is settled where reading begins: what is appended from then on is seen. */
  static async start(options: TailOptions): Promise<LogTail> {
    const tail = new LogTail(options)
    const topics = ['telemetry.raw', 'telemetry.dead-letter'] as const
    const ends = await Promise.all(topics.map((topic) => options.log.offsets(topic)))
    const starts = topics.flatMap((topic, index) =>
      (ends[index] ?? []).map(({ partition, end }) => ({ topic, partition, end })),
    )
    for (const { topic, partition, end } of starts) {
      if (topic === 'telemetry.dead-letter') tail.#letterPositions.set(partition, end)
    }
    tail.#runs = starts.map(({ topic, partition, end }) => tail.#follow(topic, partition, end))
    return tail
  }

  /** Per partition of the dead letters the next offset that `onBatch` will be called with. */
  letterPositions(): ReadonlyMap<number, number> {
    return new Map(this.#letterPositions)
  }

  /** To be called once a second: what may be read starts anew. */
  tick(): void {
    this.#tick.over.resolve()
    this.#tick = { count: this.#tick.count + 1, over: Promise.withResolvers() }
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#tick.over.resolve()
    await Promise.all(this.#runs)
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
