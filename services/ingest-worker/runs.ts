import { streamKey, type TelemetryTopic } from '../../shared/topics.ts'
import type { Accepted } from './accepted.ts'

/** The points of one record, `from` inclusive to `to` exclusive; they are of one stream. */
export interface Run {
  readonly key: string
  /** Among others: it is one of the series. */
  readonly names: TelemetryTopic
  readonly part: Accepted
  /** Index of the record in the slice. */
  readonly index: number
  readonly from: number
  readonly to: number
}

/** The points of the part, record by record. */
export function runsByRecord(part: Accepted): Run[] {
  const { record, points } = part
  const runs: Run[] = []
  for (let from = 0; from < record.length;) {
    const index = record[from] ?? 0
    let to = from + 1
    while (to < record.length && record[to] === index) to++
    const names = points.series[from]
    if (names !== undefined) runs.push({ key: (names.streamKey ??= streamKey(names)), names, part, index, from, to })
    from = to
  }
  return runs
}

/** The record was read as a text, because it is nothing else. */
export function isText({ part, index }: Run): boolean {
  return part.slice.decoded.unnamed?.get(index) === 'text'
}

/** Its fields have names of their own: they are not those of a value, or of line protocol. */
export function isJson({ part, index }: Pick<Run, 'part' | 'index'>): boolean {
  return part.slice.decoded.unnamed?.has(index) !== true
}
