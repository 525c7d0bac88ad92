import type { Cache } from '../../shared/cache/port.ts'
import { MAX_WATCH_MS, type Watches } from '../../shared/registry/watches-port.ts'
import { isWatched, stagesKey, type WorkerStages } from '../../shared/watch.ts'
import type { Slice } from './slice.ts'

/** Records of one write that are noted; those behind them have no times of this worker. */
const MAX_NOTED = 1_000

interface Options {
  readonly cache: Pick<Cache, 'setMany'>
  readonly registry: { readonly watches: Pick<Watches, 'list'> }
}

/**
 * Notes for `trace` when records of devices under watch were read, decoded and stored, in the cache: they may be lost. While
 * no device is under watch no record is looked at.
 */
export class WatchedStages {
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  /** To be called when all of the slices is stored. */
  async note(slices: readonly Slice[]): Promise<void> {
    const { cache, registry } = this.#options
    const storedMs = Date.now()
    if (registry.watches.list(storedMs).length === 0) return
    const entries: { key: string; value: string }[] = []
    for (const { records, readMs = storedMs, decodedMs = storedMs } of slices) {
      const value = JSON.stringify({ readMs, decodedMs, storedMs } satisfies WorkerStages)
      for (const record of records) {
        if (entries.length >= MAX_NOTED) break
        if (isWatched(record)) entries.push({ key: stagesKey(record), value })
      }
    }
    if (entries.length > 0) await cache.setMany(entries, MAX_WATCH_MS)
  }
}
