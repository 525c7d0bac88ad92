import { expect, it } from 'vitest'
import { Named } from '../../../../../services/query-api/replay/named.ts'
import { faultOfRecord, Faults, MAX_FAULTS, type Fault } from '../../../../../shared/faults.ts'

const fault = (element: number | null, path: string | null): Fault => {
  return { element, path, code: 'value_unsupported', detail: '' }
}

it('a letter names fields of readings, and what is within them', () => {
  const named = new Named(Faults.of([fault(0, 'a'), fault(0, 'b'), fault(2, 'a.b')]))
  expect([named.has(0, 'a'), named.has(0, 'b'), named.has(0, 'a.c.d'), named.has(2, 'a.b')]).toEqual(
    Array(4).fill(true),
  )
  expect([named.has(0, 'ab'), named.has(1, 'a'), named.has(2, 'a'), named.has(2, 'a.bc')]).toEqual(Array(4).fill(false))
  // A reading, or the record, of which something is named.
  expect([named.has(0, null), named.has(1, null), named.has(null, null)]).toEqual([true, false, true])
})

it('a letter names whole readings, whatever else is wrong with them', () => {
  for (const faults of [
    [fault(1, null), fault(1, 'a')],
    [fault(1, 'a'), fault(1, null)],
  ]) {
    const named = new Named(Faults.of(faults))
    expect([named.has(1, 'a'), named.has(1, 'z'), named.has(0, 'a')]).toEqual([true, true, false])
  }
})

it('a letter names all of its record: as a whole, or where not every fault is kept', () => {
  expect(new Named(Faults.of([faultOfRecord('payload_not_json', '')])).has(7, 'x')).toBe(true)
  const many = Array.from({ length: MAX_FAULTS + 1 }, (_, i) => fault(i, 'a'))
  expect(new Named(Faults.of(many.slice(1))).has(0, 'a')).toBe(false)
  expect(new Named(Faults.of(many)).has(500, 'b')).toBe(true)
})
