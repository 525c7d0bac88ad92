// Invariant: what becomes of a text depends on the records before it in the log alone. The first JSON of a stream is kept by its
// place, with the latest state, which the registry has before the position is committed: a text that is read again, by whatever
// worker and in whatever batch, is compared with the same place.
import { faultOfRecord } from '../../shared/faults.ts'
import type { Decoded } from '../../shared/decoders/decode.ts'
import { partOf } from './accepted.ts'
import type { LatestStates } from './latest-states.ts'
import { liesBefore, type LogPlace } from './log-place.ts'
import { isJson, isText, runsByRecord, type Run } from './runs.ts'
import type { Slice } from './slice.ts'

const DETAIL =
  'the payload is a text, and the stream has carried JSON. If it may carry both, set the policy `plain_text` to `always`'

/** Refuses texts on streams that have carried JSON. Without a text among the records nothing of them is looked at. */
export class PlainTexts {
  readonly #latest: Pick<LatestStates, 'firstJsonOf'>

  constructor({ latest }: { readonly latest: Pick<LatestStates, 'firstJsonOf'> }) {
    this.#latest = latest
  }

  /** To be called in the order of the log, before points are placed; called again with the same slices it changes nothing. */
  async refuse(slices: readonly Slice[]): Promise<void> {
    if (!slices.some(({ decoded }) => decoded.hasTexts)) return
    const runs = slices.flatMap((slice) => runsByRecord(partOf(slice)))
    const streams = new Set(runs.filter(isText).map(({ key }) => key))
    const concerned = runs.filter(({ key }) => streams.has(key))
    const first = new Map(await this.#latest.firstJsonOf(concerned))
    const refused = new Map<Slice, Set<number>>()
    for (const run of concerned) {
      const { slice } = run.part
      const place = placeOf(run)
      const json = first.get(run.key)
      if (isJson(run)) first.set(run.key, json ?? place)
      else if (isText(run) && json !== undefined && liesBefore(json, place)) {
        refused.set(slice, (refused.get(slice) ?? new Set()).add(run.index))
      }
    }
    for (const [{ decoded }, records] of refused) {
      takeOut(decoded, records)
      for (const record of records) decoded.refuse(record, faultOfRecord('payload_not_json', DETAIL))
    }
  }
}

function placeOf({ part, index }: Run): LogPlace {
  const { log, partition } = part.slice.progress
  return { log, partition, offset: part.slice.firstOffset + index }
}

/** The points of these records. */
function takeOut({ points, record, element }: Decoded, records: ReadonlySet<number>): void {
  const { series, ms, ns, values } = points
  const kept = [...record.keys()].filter((i) => !records.has(record[i] ?? -1))
  for (const column of [series, ms, ns, values, element, record] as unknown[][]) {
    for (const [to, from] of kept.entries()) column[to] = column[from]
    column.length = kept.length
  }
}
