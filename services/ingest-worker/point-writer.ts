import { SluiceError } from '../../shared/errors.ts'
import type { PointStore, RejectedPoint } from '../../shared/points/port.ts'
import type { TombstoneView } from '../../shared/registry/tombstones-port.ts'
import type { DeclaredTypes } from '../../shared/registry/types-port.ts'
import { concatenate, type PointBatch } from '../../shared/telemetry.ts'
import { at, keep, nothingOf, type Accepted } from './accepted.ts'
import type { DeletedReadings } from './deleted-readings.ts'
import type { FieldTypes } from './field-types.ts'
import type { IngestMetrics } from './metrics.ts'
import { Replayed } from './replayed.ts'
import { missingFields } from './required-fields.ts'
import { isOfReplays, Refusals, type LateFault, type Refusal, type Slice } from './slice.ts'
import type { Retry } from './retry.ts'
import { TimeSpread } from './time-spread.ts'

/** What became of some slices: their points, without those that the store refused, and what was refused of each record. */
export interface Written {
  readonly stored: readonly Accepted[]
  readonly refusals: readonly Refusal[]
  /** What is stored, and not as it was declared. */
  readonly doubts: readonly LateFault[]
  /** What was known to be deleted, and left out. */
  readonly deleted: TombstoneView
}

/** Errors that say something about the points, not about the store. */
const isAboutPoints = (error: SluiceError) => error.kind.class === 'data' || error.kind.class === 'size'

/** Brings decoded slices into the point store: types first, then one write for as many points as go together. */
export class PointWriter {
  readonly #points: Pick<PointStore, 'write'>
  readonly #replayed: Replayed
  readonly #types: FieldTypes
  readonly #declaredTypes: Pick<DeclaredTypes, 'areSomeRequired' | 'requiredIn'>
  readonly #spread: TimeSpread
  readonly #deleted: DeletedReadings
  readonly #retry: Retry
  readonly #metrics: IngestMetrics
  readonly #writePoints: number

  constructor(options: {
    points: Pick<PointStore, 'write' | 'query'>
    types: FieldTypes
    registry: { readonly declaredTypes: Pick<DeclaredTypes, 'areSomeRequired' | 'requiredIn'> }
    deleted: DeletedReadings
    retry: Retry
    metrics: IngestMetrics
    writePoints: number
    /** Weeks that readings of a device may be of per hour. */
    deviceWeeks: number
  }) {
    this.#points = options.points
    this.#replayed = new Replayed(options)
    this.#types = options.types
    this.#declaredTypes = options.registry.declaredTypes
    this.#spread = new TimeSpread({ most: options.deviceWeeks, metrics: options.metrics })
    this.#deleted = options.deleted
    this.#retry = options.retry
    this.#metrics = options.metrics
    this.#writePoints = options.writePoints
  }

  /**
   * Resolves when every field of the slices is visible in the store or among the refusals, which `faults` join. Order is
   * kept.
   */
  async write(slices: readonly Slice[], faults: readonly LateFault[]): Promise<Written> {
    const refusals = new Refusals(slices)
    for (const { slice, record, fault } of faults) refusals.add(slice, record, fault)
    const asTheyAre = await this.#types.pin(slices.map((slice) => slice.decoded.points.series))
    const deleted = await this.#deleted.view()
    const doubts = this.#declaredTypes.areSomeRequired ? missingFields(slices, this.#declaredTypes) : []
    const accepted = slices.map((slice) => {
      const fitting = this.#spread.leaveOut(this.#fit(slice, asTheyAre, refusals, doubts), refusals)
      return this.#deleted.leaveOut(fitting, deleted)
    })
    const stored: Accepted[] = []
    // What comes before a replay has to be stored when it is looked for.
    for (const { parts, isOfReplay } of runsOf(accepted)) {
      const wanted = isOfReplay ? await this.#replayed.leaveOut(parts) : parts
      stored.push(...(await this.#store(wanted, refusals)))
    }
    for (const { fault } of doubts) this.#metrics.undeclared.inc({ code: fault.code })
    return { stored, refusals: refusals.list(), doubts, deleted }
  }

  async #store(accepted: readonly Accepted[], refusals: Refusals): Promise<readonly Accepted[]> {
    const batch = concatenate(accepted.map(({ points }) => points))
    const rejected = await this.#writeAll(batch)
    this.#metrics.points.inc(batch.series.length - rejected.length)
    return rejected.length === 0 ? accepted : withoutRejected(accepted, rejected, refusals)
  }

  /** The slice's points as the types in force have them, without those that do not fit. */
  #fit(slice: Slice, asTheyAre: boolean, refusals: Refusals, doubts: LateFault[]): Accepted {
    const { points, record, element } = slice.decoded
    if (asTheyAre && !points.values.some((value) => typeof value === 'bigint')) {
      return { slice, points, record, element }
    }
    const kept = nothingOf(slice)
    const isReplayed = isOfReplays(slice)
    for (let i = 0; i < record.length; i++) {
      const { field } = at(points.series, i)
      const { ms } = at(slice.records, at(record, i))
      const fit = this.#types.fit(at(points.series, i), at(points.values, i), ms, isReplayed)
      const place = { element: at(element, i), path: field }
      if ('code' in fit) refusals.add(slice, at(record, i), { ...place, ...fit })
      else {
        keep(kept, slice.decoded, i, fit)
        if (fit.mark !== undefined) {
          const fault = { ...place, code: 'value_marked', detail: fit.mark } as const
          doubts.push({ slice, record: at(record, i), fault })
        }
        if (fit.beside !== undefined) {
          keep(kept, slice.decoded, i, { series: fit.beside, value: String(at(points.values, i)) })
        }
      }
    }
    return kept
  }

  /** In writes of at most the configured number of points, one after the other. */
  async #writeAll(batch: PointBatch): Promise<RejectedPoint[]> {
    const rejected: RejectedPoint[] = []
    for (let from = 0; from < batch.series.length; from += this.#writePoints) {
      const part = slicePoints(batch, from, from + this.#writePoints)
      this.#metrics.writePoints.observe(part.series.length)
      for (const { index, error } of await this.#writePart(part)) rejected.push({ index: from + index, error })
    }
    return rejected
  }

  /** A store that refuses a whole write for what is in it gets its halves, until what it minds is alone. */
  async #writePart(batch: PointBatch): Promise<readonly RejectedPoint[]> {
    try {
      return await this.#retry.run('points', () => this.#points.write(batch), isAboutPoints)
    } catch (error) {
      if (!(error instanceof SluiceError) || !isAboutPoints(error)) throw error
      const count = batch.series.length
      if (count === 1) return [{ index: 0, error }]
      const middle = Math.ceil(count / 2)
      const first = await this.#writePart(slicePoints(batch, 0, middle))
      const second = await this.#writePart(slicePoints(batch, middle, count))
      return [...first, ...second.map(({ index, error: reason }) => ({ index: middle + index, error: reason }))]
    }
  }
}

/** In order: what was replayed apart from what was not. */
function runsOf(accepted: readonly Accepted[]): { readonly parts: Accepted[]; readonly isOfReplay: boolean }[] {
  const runs: { readonly parts: Accepted[]; readonly isOfReplay: boolean }[] = []
  for (const part of accepted) {
    const isOfReplay = isOfReplays(part.slice)
    const last = runs.at(-1)
    if (last?.isOfReplay === isOfReplay) last.parts.push(part)
    else runs.push({ parts: [part], isOfReplay })
  }
  return runs
}

/** Takes the points that the store refused out of the slices: each is a fault of its field alone. */
function withoutRejected(
  accepted: readonly Accepted[],
  rejected: readonly RejectedPoint[],
  refusals: Refusals,
): Accepted[] {
  const errors = new Map(rejected.map(({ index, error }) => [index, error]))
  let base = 0
  return accepted.map((part) => {
    const { slice, points, record, element } = part
    const kept = nothingOf(slice)
    for (let i = 0; i < record.length; i++) {
      const series = at(points.series, i)
      const error = errors.get(base + i)
      if (error === undefined) keep(kept, part, i, { series, value: at(points.values, i) })
      else {
        const { code, message: detail } = error
        refusals.add(slice, at(record, i), { element: at(element, i), path: series.field, code, detail })
      }
    }
    base += record.length
    return kept
  })
}

function slicePoints(batch: PointBatch, from: number, to: number): PointBatch {
  if (from === 0 && to >= batch.series.length) return batch
  const { series, ms, ns, values } = batch
  return {
    series: series.slice(from, to),
    ms: ms.slice(from, to),
    ns: ns.slice(from, to),
    values: values.slice(from, to),
  }
}
