import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable, type Decoded } from '../../../../shared/decoders/decode.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'
import { referenceDecode, type Outcome } from '../../../../load-tests/reference/json-decode.ts'
import { payload } from './payload-arbitraries.ts'

const received = { ms: 1_769_860_800_000, ns: 999_998 }

function record(value: Uint8Array): LogRecord {
  return { key: 'demo/first', value, ...received, headers: undefined }
}

/** What the decoder made of one of several records. */
function outcomeOf(
  { points, record: records, element, faults, suspects }: Decoded,
  index: number,
): Omit<Outcome, 'nulls'> {
  const mine = [...records.keys()].filter((i) => records[i] === index)
  return {
    points: mine.map((i) => {
      const series = points.series[i]
      return [
        element[i] ?? -1,
        series?.field ?? '',
        series?.type ?? 'float',
        points.ms[i] ?? -1,
        points.ns[i] ?? -1,
        points.values[i],
      ]
    }),
    faults: (faults.get(index)?.first ?? []).map((fault) => [fault.element, fault.path, fault.code]),
    suspects: suspects.flatMap(({ record: of, element: one, code }) => (of === index ? [[one, code] as const] : [])),
  }
}

/** SLUICE_FUZZ_RUNS=100000 for a long run. The limit also ends the search for the smallest failing payload. */
const numRuns = Number(process.env['SLUICE_FUZZ_RUNS'] ?? 1500)
const limits = { numRuns, interruptAfterTimeLimit: Math.max(8000, numRuns) }
/** Found by earlier runs. */
const FOUND = [
  '{"time":-Infinity,"a":1}',
  '{"ts":"1969-12-31T24:00:00.0Z","a":1}',
  '{"ts":"9999-12-31T24:00:00+24:00","a":1}',
  '{"ts":"026-01-31t00:00:00","a":1}',
  '{"ts":"1970-101T00:00:00Z","a":1}',
  // What the first placed must not reach the second.
  String.raw`[{"l":[{"timestamp":1769860000,"a":true}],"b":"\x"}]`,
  '{"a":1}',
]
const examples: [Uint8Array[]][] = [[FOUND.map((text) => Buffer.from(text))]]

describe('the decoder agrees with the reference on every payload', () => {
  it('over runs of several', () => {
    // One table for all: what was learnt from one payload must not change what the next one means.
    const table = new SeriesTable({ maxSeries: 100 })
    fc.assert(
      fc.property(fc.array(payload, { minLength: 1, maxLength: 4 }), (payloads) => {
        const decoded = decodeRecords(payloads.map(record), table)
        const expected = payloads.map((one) => referenceDecode(one, received))
        for (const [index, { nulls: _, ...outcome }] of expected.entries()) {
          expect(outcomeOf(decoded, index)).toStrictEqual(outcome)
        }
        expect(decoded.nulls).toBe(expected.reduce((sum, { nulls }) => sum + nulls, 0))
      }),
      { ...limits, examples },
    )
  })
})
