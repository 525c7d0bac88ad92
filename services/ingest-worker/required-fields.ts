import { changeAt, type DeclaredTypes } from '../../shared/registry/types-port.ts'
import { isOfReplays, type LateFault, type Slice } from './slice.ts'

/**
 * Which fields readings lack that were declared to be in every one of their stream. A field that is there and was refused is
 * not missing. Of what is replayed nothing is said: it may be a part of a reading.
 */
export function missingFields(slices: readonly Slice[], declaredTypes: Pick<DeclaredTypes, 'requiredIn'>): LateFault[] {
  return slices.filter((slice) => !isOfReplays(slice)).flatMap((slice) => [...missingIn(slice, declaredTypes)])
}

function* missingIn(slice: Slice, declaredTypes: Pick<DeclaredTypes, 'requiredIn'>): Generator<LateFault> {
  const { points, record, element, faults } = slice.decoded
  for (let from = 0, to = 0; from < record.length; from = to) {
    const [index = 0, reading = 0] = [record[from], element[from]]
    while (to < record.length && record[to] === index && element[to] === reading) to += 1
    const first = points.series[from]
    const required = first === undefined ? [] : declaredTypes.requiredIn(first)
    if (required.length === 0) continue
    const refused = (faults.get(index)?.first ?? []).filter((fault) => fault.element === reading)
    const there = new Set([
      ...points.series.slice(from, to).map(({ field }) => field),
      ...refused.map(({ path }) => path),
    ])
    const receivedMs = slice.records[index]?.ms ?? 0
    for (const { field, changes } of required) {
      if (there.has(field) || changeAt(changes, receivedMs)?.meaning.required !== true) continue
      const detail = `the reading has no ${JSON.stringify(field)}, which was declared to be in every one`
      yield { slice, record: index, fault: { element: reading, path: field, code: 'field_missing', detail } }
    }
  }
}
