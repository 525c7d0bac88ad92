import { faultsOf } from '../../../shared/dead-letter.ts'
import type { UploadedTable } from '../../../shared/codecs/uploaded-table.ts'
import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { learn } from '../../../shared/decoders/learn.ts'
import { recordsForOwner } from '../../../shared/decoders/for-owner.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { identityOf, isSameValue, storedValues } from '../../../shared/points/stored-values.ts'
import { REVISION_HEADER } from '../../../shared/policies/revision.ts'
import { IN_PLACE } from '../../../shared/record.ts'
import type { Registry } from '../../../shared/registry/port.ts'
import type { TombstoneView } from '../../../shared/registry/tombstones-port.ts'
import {
  concatenate,
  type LogRecord,
  type PointBatch,
  type PointValue,
  type Series,
} from '../../../shared/telemetry.ts'
import { parseDeviceKey } from '../../../shared/topics.ts'
import { ownedPoints } from '../owned-points.ts'
import type { WholeLetter } from './letter-pages.ts'
import { Named } from './named.ts'

/**
 * What becomes of a point: `stored`, for nothing is in its place; `unchanged`: it is there already; `superseded`: another
 * value is; `deleted`: somebody deleted it.
 */
export type Outcome = 'stored' | 'unchanged' | 'superseded' | 'deleted'

/** Points that a letter names, as they are decoded today, and what becomes of each. */
export interface Plan {
  readonly letter: WholeLetter
  /** As it would be decoded today. */
  readonly record: LogRecord
  /** Of the devices that there are, by their uids. */
  readonly points: PointBatch
  readonly outcomes: Outcome[]
  /** What is stored in the place of each, undefined for nothing. */
  readonly stored: (PointValue | undefined)[]
  /** Faults that are still there, of what the letter names; and devices that are gone. */
  readonly faulty: number
}

/** Decodes letters by what holds today, and compares what they name with the store. */
export class Planner {
  readonly #registry: Pick<Registry, 'decoders' | 'names' | 'policies' | 'tombstones'>
  readonly #points: Pick<PointStore, 'query'>
  readonly #table: SeriesTable

  constructor(options: {
    readonly registry: Pick<Registry, 'decoders' | 'names' | 'policies' | 'tombstones'>
    readonly uploaded: UploadedTable
    readonly points: Pick<PointStore, 'query'>
  }) {
    this.#registry = options.registry
    this.#points = options.points
    this.#table = new SeriesTable({ uploaded: options.uploaded })
  }

  /** Of two letters that name one place the first has it, within a letter the last reading. Errors: those of registry and store. */
  async plan(letters: readonly WholeLetter[]): Promise<Plan[]> {
    await this.#registry.policies.known()
    const plans: Plan[] = []
    for (const letter of letters) {
      const record = this.#asToday(letter)
      await learn(this.#table, [record], this.#registry)
      plans.push(this.#decode(letter, record))
    }
    await this.compare(plans)
    return plans
  }

  /** Looks again at what is stored, and sets the outcomes anew. */
  async compare(plans: readonly Plan[]): Promise<void> {
    const all = concatenate(plans.map(({ points }) => points))
    const stored = await storedValues(this.#points, all)
    const deleted = await this.#registry.tombstones.current()
    const taken = new Map<string, PointValue>()
    let first = 0
    for (const plan of plans) {
      for (let i = plan.points.series.length - 1; i >= 0; i--) {
        const place = identityOf(all, first + i)
        plan.stored[i] = stored[first + i]
        const there = stored[first + i] ?? taken.get(place)
        plan.outcomes[i] = outcomeOf(plan, i, there, deleted)
        if (plan.outcomes[i] === 'stored') taken.set(place, plan.points.values[i] ?? 0)
      }
      first += plan.points.series.length
    }
  }

  #asToday({ letter }: WholeLetter): LogRecord {
    const { key, payload: value, ms, ns, scheme } = letter
    const { [REVISION_HEADER]: _used, ...others } = letter.headers ?? {}
    const tenant = parseDeviceKey(key)?.tenant
    const rv = tenant === undefined ? undefined : this.#registry.policies.revisionOf(tenant)
    const headers = rv === undefined ? others : { ...others, [REVISION_HEADER]: rv }
    return { key, value, ms, ns, scheme, headers: Object.keys(headers).length === 0 ? undefined : headers }
  }

  #decode(letter: WholeLetter, record: LogRecord): Plan {
    const { names } = this.#registry
    const named = new Named(faultsOf(letter.letter))
    const decoded = decodeRecords([record], this.#table)
    const points: PointBatch = { series: [], ms: [], ns: [], values: [] }
    const faults = decoded.faults.get(0)
    let faulty = faults === undefined ? 0 : faults.total - faults.first.length
    for (const { element, path } of faults?.first ?? []) if (named.has(element, path)) faulty += 1
    const tenant = parseDeviceKey(record.key)?.tenant ?? ''
    for (const { device, uid, points: from, element } of ownedPoints(decoded, record.key, names)) {
      const isThere = names.isKnown(tenant, device) && names.uidOf(tenant, device) === uid
      for (const [i, series] of from.series.entries()) {
        if (!named.has(element[i] ?? 0, series.field)) continue
        if (!isThere) {
          faulty += 1
          continue
        }
        points.series.push(series)
        points.ms.push(from.ms[i] ?? 0)
        points.ns.push(from.ns[i] ?? 0)
        points.values.push(from.values[i] ?? 0)
      }
    }
    return { letter, record, points, outcomes: [], stored: [], faulty }
  }

  /** What is to be appended so that the owners store what is missing; `tries`: of which replay of the letter. */
  recordsOf({ record, points, outcomes }: Plan, tries: number): LogRecord[] {
    const { names } = this.#registry
    const records: LogRecord[] = []
    const streams = new Map<string, { readonly one: Series; readonly batch: PointBatch }>()
    for (const [i, one] of points.series.entries()) {
      if (outcomes[i] !== 'stored') continue
      const key = JSON.stringify([one.device, one.stream])
      const known = streams.get(key) ?? { one, batch: { series: [], ms: [], ns: [], values: [] } }
      streams.set(key, known)
      known.batch.series.push(one)
      known.batch.ms.push(points.ms[i] ?? 0)
      known.batch.ns.push(points.ns[i] ?? 0)
      known.batch.values.push(points.values[i] ?? 0)
    }
    for (const { one, batch } of streams.values()) {
      const { tenant, device: uid, stream } = one
      const owner = { tenant, device: names.nameOf(tenant, uid), uid, stream }
      records.push(...recordsForOwner(record, owner, batch, () => ({ ...IN_PLACE, replay: String(tries) })))
    }
    return records
  }
}

/** `there`: what has its place, in the store or among what comes before it. */
function outcomeOf(
  { points, record }: Plan,
  i: number,
  there: PointValue | undefined,
  deleted: TombstoneView,
): Outcome {
  const series = points.series[i]
  const time = { ms: points.ms[i] ?? 0, ns: points.ns[i] ?? 0 }
  if (series !== undefined && deleted.covers(series, time, record.ms)) return 'deleted'
  if (there === undefined) return 'stored'
  return isSameValue(there, points.values[i] ?? 0) ? 'unchanged' : 'superseded'
}
