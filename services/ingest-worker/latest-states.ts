import type { Cache } from '../../shared/cache/port.ts'
import { encodeLatest, latestKey, LatestStream } from '../../shared/latest-state.ts'
import type { Logger } from '../../shared/process/logger.ts'
import type { Registry, StreamState } from '../../shared/registry/port.ts'
import { TombstoneView, type Tombstone } from '../../shared/registry/tombstones-port.ts'
import { compareText } from '../../shared/text-order.ts'
import { deviceTimeOf, type DeviceStep } from './device-clocks.ts'
import type { Gaps } from './gaps.ts'
import { KeptValues } from './kept-values.ts'
import { clockOf, keptIn, type Entry } from './latest-entry.ts'
import { readPlace, type LogPlace } from './log-place.ts'
import { checkPosition } from './log-replaced.ts'
import type { IngestMetrics } from './metrics.ts'
import { isOfReplays, type Progress } from './slice.ts'
import type { Retry } from './retry.ts'
import { isJson, runsByRecord, type Run } from './runs.ts'
import type { Accepted } from './accepted.ts'

/** Streams asked for in one call. */
const LOAD_STREAMS = 1000
/** Least time between two writes of the cache: under load a stream changes more often than anybody looks (measured). */
const PUBLISH_EVERY_MS = 200
/** Longer than any flush takes to come: then the registry has it. */
const CACHE_TTL_MS = 3_600_000

/** States to be flushed, with the version each has. */
export type Dirty = readonly { readonly entry: Entry; readonly version: number; readonly row: StreamState }[]

interface Options {
  readonly registry: Pick<Registry, 'readStreams'>
  readonly cache: Pick<Cache, 'setMany'>
  readonly retry: Retry
  readonly metrics: IngestMetrics
  readonly logger: Logger
  readonly maxStreams: number
  readonly gaps: Pick<Gaps, 'append'>
}

/**
 * Latest state of the streams in use: loaded when first touched, merged in memory in log order, written to the cache as
 * it changes and to the registry at checkpoints. Bounded; what was used longest ago goes, once the registry has it.
 */
export class LatestStates {
  readonly #options: Options
  /** In order of use, the newest last. */
  readonly #entries = new Map<string, Entry>()
  readonly #unpublished = new Set<Entry>()
  #dirty = new Set<Entry>()
  #publishing: Promise<void> | undefined
  /** What is taken out of all entries, and out of those that are loaded. */
  #deleted = new TombstoneView()
  #timer: NodeJS.Timeout | undefined

  constructor(options: Options) {
    this.#options = options
  }

  /**
   * To be called with what was left out of the points, before they are merged: what is kept here may have come before it
   * was deleted. True when there is more of it than at the last call.
   */
  erase(deleted: TombstoneView): boolean {
    if (deleted === this.#deleted) return false
    const known = new Set(this.#deleted.all.map(({ id }) => id))
    const added = new TombstoneView(deleted.all.filter(({ id }) => !known.has(id)))
    this.#deleted = deleted
    if (added.isEmpty) return false
    for (const entry of this.#entries.values()) {
      const { tenant, device } = entry.state.names
      if (!eraseAll(entry.state, added.of(tenant, device))) continue
      this.#dirty.add(entry)
      this.#unpublished.add(entry)
    }
    return true
  }

  /** Merges stored points; what a state covers already is a replay and changes nothing. Gives what clocks were set. */
  async merge(stored: readonly Accepted[]): Promise<readonly DeviceStep[]> {
    const runs = stored.flatMap(runsByRecord)
    await this.#load(runs)
    const steps: DeviceStep[] = []
    for (const run of runs) if (!run.part.slice.progress.revoked) this.#mergeRun(run, steps)
    this.#evict()
    this.#options.metrics.latestStreams.set(this.#entries.size)
    this.#publish()
    return steps
  }

  /** Where values of the same time go, by the key of the run; loaded where it is not known. */
  async keptOf(runs: readonly Run[]): Promise<ReadonlyMap<string, KeptValues>> {
    const entries = await this.#entriesOf(runs)
    return new Map(
      entries.map((entry) => {
        if (!(entry.kept instanceof KeptValues)) entry.kept = KeptValues.read(entry.kept)
        return [entry.key, entry.kept]
      }),
    )
  }

  /** Where streams first carried JSON, by the key of the run, of those that have; loaded where it is not known. */
  async firstJsonOf(runs: readonly Run[]): Promise<ReadonlyMap<string, LogPlace>> {
    const entries = await this.#entriesOf(runs)
    return new Map(entries.flatMap(({ key, firstJson }) => (firstJson === undefined ? [] : [[key, firstJson]])))
  }

  /** What changed since the last call, by tenant, device and stream: flushes in one order cannot lock each other out. */
  takeDirty(): Dirty {
    const dirty = Array.from(this.#dirty, (entry) => ({
      entry,
      version: entry.state.version,
      row: { ...entry.state.toState(), ...keptIn(entry) },
    }))
    this.#dirty = new Set()
    return dirty.sort((a, b) => compareText(a.entry.key, b.entry.key))
  }

  /** The registry has these. */
  flushed(dirty: Dirty): void {
    for (const { entry, version } of dirty) entry.flushed = version
  }

  /** The partition is somebody else's now; what was not flushed is not committed either, and is read again there. */
  forgetPartition(progress: Progress): void {
    for (const entry of this.#entries.values()) if (entry.progress === progress) this.#drop(entry)
  }

  /** Stops writing to the cache. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#unpublished.clear()
    await this.#publishing
  }

  async #entriesOf(runs: readonly Run[]): Promise<Entry[]> {
    await this.#load(runs)
    return [...new Set(runs.map(({ key }) => key))].flatMap((key) => this.#entries.get(key) ?? [])
  }

  async #load(runs: readonly Run[]): Promise<void> {
    const missing = new Map<string, Run>()
    for (const run of runs) {
      const known = this.#entries.get(run.key)
      // What was kept before its partition went away and came back is not what the registry has now.
      if (known === undefined || known.progress.revoked) missing.set(run.key, run)
    }
    const asked = [...missing.values()]
    for (let from = 0; from < asked.length; from += LOAD_STREAMS) {
      const part = asked.slice(from, from + LOAD_STREAMS)
      const names = part.map((run) => run.names)
      const states = await this.#options.retry.run('registry', () => this.#options.registry.readStreams(names))
      for (const [i, run] of part.entries()) {
        const gap = checkPosition(run.part.slice, run.index, states[i])
        if (gap !== undefined) await this.#options.gaps.append([gap])
        const { tenant, device, stream } = run.names
        const state = new LatestStream({ tenant, device, stream }, states[i])
        // One that is closed was taken out of what is loaded, which may have newer values of its span now.
        eraseAll(
          state,
          this.#deleted.of(tenant, device).filter(({ receivedMs }) => receivedMs === undefined),
        )
        const { progress } = run.part.slice
        const { kept, clock } = states[i] ?? {}
        const own = { kept, clock, firstJson: readPlace(states[i]?.firstJson), flushed: state.version }
        this.#entries.set(run.key, { key: run.key, state, progress, ...own })
      }
    }
  }

  #mergeRun({ key, part, index, from, to, names }: Run, steps: DeviceStep[]): void {
    const { log, partition } = part.slice.progress
    const record = part.slice.records[index]
    const entry = this.#entries.get(key)
    const offset = part.slice.firstOffset + index
    if (entry === undefined || record === undefined || entry.state.covers(log, partition, offset)) return
    entry.state.see(record, log, partition, offset)
    if (entry.firstJson === undefined && isJson({ part, index })) entry.firstJson = { log, partition, offset }
    const deviceMs = isOfReplays(part.slice) ? undefined : deviceTimeOf(part, to, record)
    const step = deviceMs === undefined ? undefined : clockOf(entry).see(deviceMs, record.ms)
    if (step !== undefined) steps.push({ ...step, names, record })
    const { series, ms, ns, values } = part.points
    for (let i = from; i < to; i++) {
      const one = series[i]
      if (one !== undefined) entry.state.merge(one, ms[i] ?? 0, ns[i] ?? 0, values[i] ?? 0, record.ms)
    }
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    this.#dirty.add(entry)
    this.#unpublished.add(entry)
  }

  /** States that are not flushed stay, so the bound gives way by what one checkpoint may be behind. */
  #evict(): void {
    let looked = 2 * (this.#entries.size - this.#options.maxStreams) + 100
    if (this.#entries.size <= this.#options.maxStreams) return
    for (const entry of this.#entries.values()) {
      if (entry.state.version === entry.flushed) this.#drop(entry)
      looked -= 1
      if (this.#entries.size <= this.#options.maxStreams || looked <= 0) return
    }
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.key)
    this.#dirty.delete(entry)
    this.#unpublished.delete(entry)
  }

  /** One write at a time, so that an older state never lands on a newer one. */
  #publish(): void {
    if (this.#timer !== undefined || this.#publishing !== undefined || this.#unpublished.size === 0) return
    const entries = Array.from(this.#unpublished, ({ state }) => {
      const { tenant, device, stream } = state.names
      return { key: latestKey(tenant, device, stream), value: encodeLatest(state.toState()) }
    })
    this.#unpublished.clear()
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#publish()
    }, PUBLISH_EVERY_MS)
    this.#publishing = this.#write(entries)
  }

  /** Never rejects: the registry gets the same at the next checkpoint. */
  async #write(entries: readonly { key: string; value: string }[]): Promise<void> {
    try {
      await this.#options.cache.setMany(entries, CACHE_TTL_MS)
    } catch (error) {
      this.#options.metrics.cacheErrors.inc()
      this.#options.logger.debug({ err: error }, 'latest values were not written to the cache')
    } finally {
      this.#publishing = undefined
      this.#publish()
    }
  }
}

function eraseAll(state: LatestStream, tombstones: readonly Tombstone[]): boolean {
  return tombstones.map((tombstone) => state.erase(tombstone)).includes(true)
}
