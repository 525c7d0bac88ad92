import { toSluiceError, type SluiceError } from '../../errors.ts'
import { compareInstants, type Instant } from '../../telemetry.ts'
import type { LogBatch, LogTopic, ReadOptions } from '../port.ts'
import type { Feeds } from './feeds.ts'
import type { Positions } from './positions.ts'

interface Range {
  readonly log: string
  readonly start: number
  /** Offset to stop before; undefined for a reading that follows. */
  readonly end: number | undefined
  /** Records before this one at the beginning are passed over. */
  readonly time: Instant | undefined
}

/** One reading of a partition without a group. */
export class Reading {
  readonly #options: ReadOptions
  readonly #name: string
  readonly #positions: Positions
  /** Where appends of this process that were made behind the call began. */
  readonly #appended: Promise<ReadonlyMap<number, number>>[] = []
  #range: Promise<Range | SluiceError> | undefined

  constructor(options: ReadOptions, name: string, positions: Positions) {
    this.#options = options
    this.#name = name
    this.#positions = positions
  }

  /**
   * Finds where to begin and end. Kafka's answer takes a moment in which this process may append: what it appends behind
   * the call is behind the end as it was.
   */
  async begin(): Promise<void> {
    this.#range = this.#find().catch((error: unknown) => toSluiceError(error))
    await this.#range
  }

  note(topic: LogTopic, appended: Promise<ReadonlyMap<number, number>>): void {
    if (topic === this.#options.topic) this.#appended.push(appended)
  }

  async *batches(feeds: Feeds): AsyncGenerator<LogBatch> {
    const { topic, partition, maxRecords, signal } = this.#options
    const range = await this.#range
    if (range === undefined) return
    if (range instanceof Error) throw range
    const { log, start, end, time } = range
    let position = start
    let isBefore = time !== undefined
    const onOutOfRange = async (offset: number): Promise<number> => {
      const bounds = (await this.#positions.bounds(this.#name, [partition])).get(partition)
      return bounds === undefined ? offset : clamp(offset, bounds.start, bounds.end)
    }
    const feed = feeds.open({ topic: this.#name, partition, offset: start, onOutOfRange })
    try {
      while (!signal.aborted && (end === undefined || position < end)) {
        const run = await feed.next(end === undefined ? maxRecords : Math.min(maxRecords, end - position), signal)
        if (run === undefined) return
        position = run.firstOffset + run.records.length
        // Records above the end may come behind a hole.
        if (end !== undefined && run.firstOffset >= end) return
        const skipped =
          isBefore && time !== undefined ? run.records.findIndex((one) => compareInstants(one, time) >= 0) : 0
        if (skipped < 0) continue
        isBefore = false
        yield { topic, log, partition, firstOffset: run.firstOffset + skipped, records: run.records.slice(skipped) }
      }
    } finally {
      feed.close()
    }
  }

  async #find(): Promise<Range> {
    const { from, follow, partition } = this.#options
    const [log, all] = await Promise.all([
      this.#positions.log(this.#name),
      this.#positions.bounds(this.#name, [partition]),
    ])
    const bounds = all.get(partition) ?? { start: 0, end: 0 }
    let end = bounds.end
    // The list may grow while it is waited for.
    for (let i = 0; i < this.#appended.length; i++) {
      const [appended] = await Promise.allSettled([this.#appended[i]])
      if (appended?.status === 'fulfilled') end = Math.min(end, appended.value?.get(partition) ?? end)
    }
    const range = { log, end: follow ? undefined : end, time: undefined }
    if (from === 'end') return { ...range, start: end }
    if ('offset' in from) return { ...range, start: clamp(from.offset, bounds.start, end) }
    const start = await this.#positions.seek(this.#name, partition, from.time.ms)
    return start === undefined ? { ...range, start: end } : { ...range, start, time: from.time }
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}
