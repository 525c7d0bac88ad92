import type { ConsumeOptions, LogConsumer, LogTopic, PartitionLag, Position } from '../../shared/log/port.ts'
import type { LogRecord } from '../../shared/telemetry.ts'

/** What the worker uses of a log, in memory. It outlives workers, as the real one outlives processes. */
export class MemoryLog {
  readonly partitions: number
  /** Its name; another one makes it another log. */
  log = 'memory'
  readonly records: Record<LogTopic, LogRecord[][]>
  readonly committed: number[]
  readonly notes: (string | undefined)[] = []
  /** Offsets below this are gone. */
  readonly kept: number[]
  readonly #wake = new Set<() => void>()

  constructor(partitions = 1) {
    const empty = () => Array.from({ length: partitions }, (): LogRecord[] => [])
    this.partitions = partitions
    this.records = { 'telemetry.raw': empty(), 'telemetry.dead-letter': empty() }
    this.committed = Array.from({ length: partitions }, () => 0)
    this.kept = Array.from({ length: partitions }, () => 0)
  }

  /** Its records are gone, with the positions of groups. */
  replace(name: string): void {
    this.log = name
    this.records['telemetry.raw'].forEach((records) => records.splice(0))
    this.committed.fill(0)
    this.notes.length = 0
  }

  async append(topic: LogTopic, records: readonly LogRecord[]): Promise<ReadonlyMap<number, number>> {
    const first = new Map<number, number>()
    for (const record of records) {
      const partition = record.key.length % this.partitions
      const kept = this.records[topic][partition] ?? []
      if (!first.has(partition)) first.set(partition, kept.length)
      kept.push(record)
    }
    for (const wake of this.#wake) wake()
    return first
  }

  async lag(): Promise<readonly PartitionLag[]> {
    return this.records['telemetry.raw'].map((kept, partition) => {
      const committed = this.committed[partition] ?? 0
      return { partition, committed, end: kept.length, records: kept.length - committed, seconds: 0 }
    })
  }

  async consume(options: ConsumeOptions): Promise<LogConsumer> {
    const ending = new AbortController()
    const loops = this.committed.map((_, partition) => this.#loop(partition, options, ending.signal))
    return {
      commit: async (positions) => this.#commit(positions),
      close: async () => {
        ending.abort()
        for (const wake of this.#wake) wake()
        await Promise.all(loops)
      },
    }
  }

  #commit(positions: readonly Position[]): void {
    for (const { partition, offset, note } of positions) {
      if (offset <= (this.committed[partition] ?? 0)) continue
      this.committed[partition] = offset
      this.notes[partition] = note
    }
  }

  async #loop(partition: number, options: ConsumeOptions, signal: AbortSignal): Promise<void> {
    let next = this.committed[partition] ?? 0
    const end = this.records[options.topic][partition]?.length ?? 0
    options.onAssigned?.({ partition, log: this.log, end, isNew: next === 0, note: this.notes[partition] })
    const kept = this.kept[partition] ?? 0
    if (next < kept) {
      const places = { partition, log: this.log, from: next, lost: kept - next, next: kept }
      const behindMs = this.records[options.topic][partition]?.[kept]?.ms
      options.onGap?.({ reason: 'retention', ...places, beforeMs: undefined, behindMs })
      next = kept
    }
    while (!signal.aborted) {
      const records = (this.records[options.topic][partition] ?? []).slice(next, next + options.maxRecords)
      if (records.length > 0) {
        await options.onBatch({ topic: options.topic, log: this.log, partition, firstOffset: next, records }, signal)
        next += records.length
      } else await this.#appended()
    }
    options.onRevoked?.(partition)
  }

  async #appended(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake.add(resolve)
    await promise
    this.#wake.delete(resolve)
  }
}
