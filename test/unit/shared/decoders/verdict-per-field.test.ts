import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeRecords, SeriesTable, type Decoded } from '../../../../shared/decoders/decode.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'

/** Values that are stored, as they are written and as they come out. */
const good = fc.oneof(
  // Larger ones are written as integers that they are not, and are bigints then.
  fc.double({ min: -(2 ** 53), max: 2 ** 53, noNaN: true }).map((value) => ({ text: JSON.stringify(value) })),
  fc.boolean().map((value) => ({ text: String(value) })),
  fc.string({ maxLength: 8 }).map((value) => ({ text: JSON.stringify(value) })),
)

/** Values that no field can have, each one fault. */
const poison = fc.constantFrom(
  { text: `[${'1,'.repeat(16)}2]`, code: 'list_left_out' },
  { text: '[{"a":[]},"]",{}]', code: 'list_left_out' },
  { text: '"\\ud800"', code: 'value_unsupported' },
  { text: '1e999', code: 'value_out_of_range' },
  { text: `"${'x'.repeat(16_385)}"`, code: 'value_too_long' },
  { text: `${'{"d":'.repeat(31)}{}${'}'.repeat(31)}`, code: 'payload_too_deep' },
)

/** Names that no field can have. */
const poisonedName = fc.constantFrom(
  { name: 'half\ud83d', code: 'field_name_invalid' },
  { name: 'x'.repeat(1025), code: 'field_name_invalid' },
)

interface Member {
  readonly json: string
  readonly path: string
  readonly value?: unknown
  readonly code?: string
}

/** A field at a place of its own, `f3` or `o.f3`; every other one may be poisoned. */
const member = (index: number): fc.Arbitrary<Member> =>
  fc
    .record({
      isNested: fc.boolean(),
      good,
      bad: fc.option(poison),
      name: fc.option(poisonedName),
      isRepeated: fc.boolean(),
    })
    .map(({ isNested, good: { text }, bad, name, isRepeated }) => {
      const wrap = (json: string) => (isNested ? `"o${index}":{${json}}` : json)
      const path = isNested ? `o${index}.f${index}` : `f${index}`
      if (bad !== null) {
        const depth = bad.code === 'payload_too_deep' ? `${path}${'.d'.repeat(isNested ? 30 : 31)}` : path
        return { json: wrap(`"f${index}":${bad.text}`), path: depth, code: bad.code }
      }
      if (name !== null && !isNested)
        return { json: `${JSON.stringify(name.name)}:${text}`, path: '*', code: name.code }
      if (isRepeated) return { json: `"f${index}":[{}],"f${index}":${text}`, path: `f${index}`, code: 'twice' }
      return { json: wrap(`"f${index}":${text}`), path, value: JSON.parse(text) as unknown }
    })

const reading = fc
  .integer({ min: 1, max: 12 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => member(index))))

/** Of what was sent each is stored with its value or is a fault with its name, whatever its neighbours are. */
function check(decode: (records: readonly LogRecord[], table: SeriesTable) => Decoded, numRuns: number): void {
  const table = new SeriesTable({ maxSeries: 500 })
  fc.assert(
    fc.property(fc.array(reading, { minLength: 1, maxLength: 4 }), fc.boolean(), (readings, isTimed) => {
      const time = (i: number) => (isTimed ? `"ts":${1_769_860_800 + i},` : '')
      const objects = readings.map((members, i) => `{${time(i)}${members.map(({ json }) => json).join(',')}}`)
      const value = Buffer.from(`[${objects.join(', ')}]`)
      const record = { key: 'demo/first', value, ms: 1_769_860_800_000, ns: 0, headers: undefined }
      const { points, element, faults } = decode([record], table)
      const stored = element.map((of, i) => [of, points.series[i]?.field, points.values[i]])
      const sent = readings.flatMap((members, i) => members.map((one) => ({ ...one, of: i })))
      expect(stored).toEqual(
        sent.filter(({ code }) => code === undefined).map(({ of, path, value: one }) => [of, path, one]),
      )
      const found = (faults.get(0)?.first ?? []).map(({ element: of, path, code }) => [of, path, code])
      const expected = sent.flatMap(({ of, path, code }) => {
        if (code === undefined) return []
        const place = path === '*' ? (expect.any(String) as string) : path
        return code === 'twice'
          ? [
              [of, place, 'list_left_out'],
              [of, place, 'field_duplicate'],
            ]
          : [[of, place, code]]
      })
      expect(found).toEqual(expected)
    }),
    { numRuns },
  )
}

it('stored and refused fields are those that were sent', () => {
  check(decodeRecords, 400)
})

/** Known-wrong: a bad field takes its neighbours along. */
function withoutNeighbours(records: readonly LogRecord[], table: SeriesTable): Decoded {
  const { points, record, element, ...decoded } = decodeRecords(records, table)
  const isBad = (i: number) => decoded.faults.get(record[i] ?? -1)?.first.some((fault) => fault.element === element[i])
  const kept = [...record.keys()].filter((i) => isBad(i) !== true)
  const of = <T>(column: readonly T[]) => kept.flatMap((i) => column.slice(i, i + 1))
  const { series, ms, ns, values } = points
  const rest = { series: of(series), ms: of(ms), ns: of(ns), values: of(values) }
  return { ...decoded, points: rest, record: of(record), element: of(element) }
}

/** Known-wrong: what is refused is left out without a word. */
function withoutFaults(records: readonly LogRecord[], table: SeriesTable): Decoded {
  return { ...decodeRecords(records, table), faults: new Map() }
}

it.each([withoutNeighbours, withoutFaults])('finds the known-wrong decoder: $name', (decoder) => {
  expect(() => check(decoder, 400)).toThrow()
})
