// Invariant: an offset is committed only after everything that it stands for is durable, in this order: what is handed
// on, dead letters, latest states in the registry, points synced, commit. A crash in between repeats writes, which changes nothing.
import { SluiceError, toSluiceError } from '../../shared/errors.ts'
import type { LogConsumer, Position } from '../../shared/log/port.ts'
import type { PointStore } from '../../shared/points/port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import type { LatestStates } from './latest-states.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Progress } from './slice.ts'
import type { Retry } from './retry.ts'

/** Rows per write of latest state. */
const FLUSH_ROWS = 1000

export interface CheckpointOptions {
  readonly points: Pick<PointStore, 'sync'>
  readonly registry: Pick<Registry, 'writeState'>
  readonly latest: LatestStates
  readonly retry: Retry
  readonly metrics: IngestMetrics
  /** Partitions that are ours, and the consumer to commit with. */
  readonly progress: () => Iterable<Progress>
  readonly consumer: () => LogConsumer | undefined
  /** The store has lost what was written since the last checkpoint: it has to be read again. */
  readonly onRewound: () => void
  /** Longest time, and most records, that stored records wait for their commit. */
  readonly everyMs: number
  readonly everyRecords: number
}

/**
 * Commits offsets, behind everything they stand for: latest state in the registry, points synced, and only then the
 * commit; dead letters are durable before a record counts as stored. What was written since the last checkpoint is
 * read and written again after a crash, which changes nothing.
 */
export class Checkpoint {
  readonly #options: CheckpointOptions
  #running: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  /** Records stored since the last checkpoint began. */
  #records = 0

  constructor(options: CheckpointOptions) {
    this.#options = options
  }

  /**
   * Counts stored records, and values that were moved, which the next one makes durable, and starts a checkpoint when it
   * is due. Waits only when the last one is still running and the next is due by records: so never more than twice that
   * many wait for their commit.
   */
  async note(records: number): Promise<void> {
    this.#records += records
    this.#arm()
    if (this.#records < this.#options.everyRecords) return
    await this.#running
    this.#begin()
  }

  /** Resolves when everything stored before the call is committed, or the worker's retries were ended. */
  async finish(): Promise<void> {
    await this.#running
    this.#begin()
    await this.#running
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#begin()
    }, this.#options.everyMs)
  }

  /** While one is running nothing begins: it arms the next when it ends. */
  #begin(): void {
    if (this.#running !== undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#records = 0
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    const { metrics } = this.#options
    const started = performance.now()
    try {
      await this.#flushAndCommit()
      metrics.checkpointSeconds.observe((performance.now() - started) / 1000)
    } catch (error) {
      if (isRewound(toSluiceError(error))) return this.#options.onRewound()
      // All that ends a retry: the worker closes, and what is not committed is read again.
      if (!(error instanceof SluiceError) || error.code !== 'closed') throw error
    } finally {
      this.#running = undefined
      if (this.#records > 0) this.#arm()
    }
  }

  async #flushAndCommit(): Promise<void> {
    const { points, registry, latest, retry } = this.#options
    const positions = Array.from(this.#options.progress(), (progress) => {
      return { progress, offset: progress.stored, ms: progress.storedMs, note: progress.note }
    })
    const dirty = latest.takeDirty()
    for (let from = 0; from < dirty.length; from += FLUSH_ROWS) {
      const rows = dirty.slice(from, from + FLUSH_ROWS).map(({ row }) => row)
      await retry.run('registry', () => registry.writeState(rows))
    }
    latest.flushed(dirty)
    await retry.run('points', () => points.sync(), isRewound)
    await retry.run('log', () => this.#commit(positions))
  }

  async #commit(positions: readonly (Omit<Position, 'partition'> & { readonly progress: Progress })[]): Promise<void> {
    const due = positions.filter(({ progress, offset }) => !progress.revoked && offset > progress.committed)
    const consumer = this.#options.consumer()
    if (due.length === 0 || consumer === undefined) return
    await consumer.commit(due.map(({ progress: { partition }, ...position }) => ({ partition, ...position })))
    for (const { progress, offset } of due) {
      progress.committed = offset
      this.#options.metrics.committed.set({ partition: progress.partition }, offset)
    }
  }
}

function isRewound({ code }: SluiceError): boolean {
  return code === 'store_rewound'
}
