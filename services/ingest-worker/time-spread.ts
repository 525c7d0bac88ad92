import { formatInstant } from '../../shared/telemetry.ts'
import { deviceKey } from '../../shared/topics.ts'
import { at, keep, nothingOf, type Accepted } from './accepted.ts'
import type { IngestMetrics } from './metrics.ts'
import { isOfReplays, type Refusals } from './slice.ts'

/** As long as the shards of a bucket without retention: InfluxDB has a folder, files and memory for each. */
const WEEK_MS = 7 * 86_400_000
const HOUR_MS = 3_600_000
/** Weeks kept of all devices together, beyond those of one: about 10 MB. */
const MAX_WEEKS = 200_000

/** Weeks that the readings of a device were of, beside the week in which they came, in one hour of receive times. */
interface Hour {
  readonly hour: number
  readonly weeks: Set<number>
}

/**
 * Over how many weeks a device may spread its readings per hour. One that makes up times would make a shard of each week
 * of three centuries. An hour is one of receive times: what is read again is decided alike, as far as it is remembered.
 */
export class TimeSpread {
  readonly #most: number
  readonly #metrics: Pick<IngestMetrics, 'rememberedWeeks'>
  /** By device, in the order in which they began. */
  readonly #hours = new Map<string, Hour>()
  #weeks = 0

  constructor({ most, metrics }: { most: number; metrics: Pick<IngestMetrics, 'rememberedWeeks'> }) {
    this.#most = most
    this.#metrics = metrics
  }

  /** The points without those of weeks too many, each of which is among the refusals. */
  leaveOut(part: Accepted, refusals: Refusals): Accepted {
    const { slice, points, record, element } = part
    // What somebody replays is wanted, whenever it is of.
    if (isNear(part) || isOfReplays(slice)) return part
    const kept = nothingOf(slice)
    for (let i = 0; i < record.length; i++) {
      const series = at(points.series, i)
      const ms = at(points.ms, i)
      const received = at(slice.records, at(record, i)).ms
      if (this.#admits(series, ms, received)) {
        keep(kept, part, i, { series, value: at(points.values, i) })
        continue
      }
      const time = formatInstant({ ms, ns: at(points.ns, i) })
      const detail = `readings of more weeks came within an hour than INGEST_DEVICE_WEEKS, ${this.#most}; this one is of ${time}`
      refusals.add(slice, at(record, i), { element: at(element, i), path: series.field, code: 'times_spread', detail })
    }
    this.#shrink()
    this.#metrics.rememberedWeeks.set(this.#weeks)
    return kept
  }

  #admits({ tenant, device }: { tenant: string; device: string }, ms: number, received: number): boolean {
    if (Math.abs(ms - received) <= WEEK_MS) return true
    const key = deviceKey(tenant, device)
    const hour = Math.floor(received / HOUR_MS)
    let known = this.#hours.get(key)
    if (known?.hour !== hour) {
      this.#forget(key, known)
      known = { hour, weeks: new Set() }
      this.#hours.set(key, known)
    }
    const week = Math.floor(ms / WEEK_MS)
    if (known.weeks.has(week)) return true
    if (known.weeks.size >= this.#most) return false
    known.weeks.add(week)
    this.#weeks += 1
    return true
  }

  #forget(key: string, known: Hour | undefined): void {
    if (known === undefined) return
    this.#hours.delete(key)
    this.#weeks -= known.weeks.size
  }

  /** The one that began first goes first. */
  #shrink(): void {
    for (const [key, known] of this.#hours) {
      if (this.#weeks <= MAX_WEEKS || this.#hours.size === 1) return
      this.#forget(key, known)
    }
  }
}

/** All points are of the week before they came, or the one behind it: nearly always, and then nothing has to be counted. */
function isNear({ slice: { records }, points }: Accepted): boolean {
  const first = records[0]?.ms ?? 0
  const last = records.at(-1)?.ms ?? 0
  const [from, to] = [Math.max(first, last) - WEEK_MS, Math.min(first, last) + WEEK_MS]
  return points.ms.every((ms) => ms >= from && ms <= to)
}
