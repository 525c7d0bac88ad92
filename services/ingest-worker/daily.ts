import { Faults } from '../../shared/faults.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import { describeOverwrite, type Overwrite } from './recent-values.ts'
import type { LateFault, Refusal, Slice } from './slice.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** What is remembered as told, about 20 MB; beyond it all is forgotten, and told once more. */
const MAX_TOLD = 100_000

/** What is to be written, and how to remember it when it is. */
interface Chosen {
  readonly refusals: readonly Refusal[]
  readonly remember: () => void
}

/** Whether something of a record is to be told: the first of its kind of a day of receipt. */
type IsNew = (record: LogRecord, what: string) => boolean

/**
 * Chooses what gets a letter of what comes with every message of a device: lists that are left out, times that are none, and
 * what is not as declared. Each is told once per device, stream and day of receipt (a list, and what was declared: per
 * field too), and again after a restart; values that took the place of others once per device and hour.
 */
export class Daily {
  #told = new Map<string, number>()

  /** `refusals` are those of the slices; records before `from` of a slice were chosen from before. */
  choose(
    slices: readonly Slice[],
    refusals: readonly Refusal[],
    told: { readonly doubts: readonly LateFault[]; readonly overwrites: readonly Overwrite[] },
    from: (slice: Slice) => number,
  ): Chosen {
    const pending = new Map<string, number>()
    const isFirst = (key: string, period: number): boolean => {
      if ((this.#told.get(key) ?? -1) >= period || pending.get(key) === period) return false
      pending.set(key, period)
      return true
    }
    const isNew: IsNew = (record, what) =>
      isFirst(`${record.key} ${record.headers?.['topic'] ?? ''} ${what}`, Math.floor(record.ms / DAY_MS))
    const kept = refusals.filter((refusal) => isWorthALetter(refusal, isNew))
    const doubts = slices.flatMap((slice) => doubtsOf(slice, from(slice), isNew))
    for (const one of told.doubts) {
      const source = one.slice.records[one.record]
      if (source === undefined || one.slice.firstOffset + one.record < from(one.slice)) continue
      if (isNew(source, `${one.fault.code} ${one.fault.path ?? ''}`)) doubts.push(one)
    }
    for (const one of told.overwrites) {
      const { slice, record, part, point } = one
      const source = slice.records[record]
      if (source === undefined || !isFirst(`${source.key} overwritten`, Math.floor(source.ms / HOUR_MS))) continue
      const [element, path] = [part.element[point] ?? 0, part.points.series[point]?.field ?? null]
      doubts.push({ slice, record, fault: { element, path, code: 'overwritten', detail: describeOverwrite(one) } })
    }
    const remember = () => {
      if (this.#told.size > MAX_TOLD) this.#told = new Map()
      for (const [key, day] of pending) this.#told.set(key, day)
    }
    return { refusals: doubts.length === 0 ? kept : withDoubts(kept, doubts), remember }
  }
}

function isWorthALetter({ slice, record, faults }: Refusal, isNew: IsNew): boolean {
  const source = slice.records[record]
  const lists = faults.counts.get('list_left_out') ?? 0
  if (source === undefined || lists === 0) return true
  const fresh = faults.first.filter(({ code, path }) => code === 'list_left_out' && isNew(source, `list ${path ?? ''}`))
  return fresh.length > 0 || lists < faults.total
}

function doubtsOf(slice: Slice, from: number, isNew: IsNew): LateFault[] {
  return slice.decoded.suspects.flatMap(({ record, element, code, detail }) => {
    const source = slice.records[record]
    if (source === undefined || slice.firstOffset + record < from || !isNew(source, code)) return []
    return [{ slice, record, fault: { element, path: null, code, detail } }]
  })
}

/** There is one letter for a record: doubts join its faults, or make a warning of their own. */
function withDoubts(refusals: readonly Refusal[], doubts: readonly LateFault[]): Refusal[] {
  const all = [...refusals]
  for (const { slice, record, fault } of doubts) {
    const at = all.findIndex((one) => one.slice === slice && one.record === record)
    const known = all[at]
    const faults = new Faults()
    if (known !== undefined) faults.addAll(known.faults)
    faults.add(fault)
    if (known === undefined) all.push({ slice, record, faults, isWarning: true })
    else all[at] = { ...known, faults }
  }
  // In the order of the log, as far as they are of one slice.
  return all.sort((a, b) => (a.slice === b.slice ? a.record - b.record : 0))
}
