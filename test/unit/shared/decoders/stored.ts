import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { formatInstant, type PointValue } from '../../../../shared/telemetry.ts'

const received = Date.UTC(2026, 10, 29, 12)
export const RECEIVED = '2026-11-29T12:00:00Z'

type Field = readonly [value: PointValue, time?: string]

/** What is stored of a payload, by field: the value and the time, the receive time where none is named. */
export function stored(payload: string | Uint8Array) {
  const value = typeof payload === 'string' ? Buffer.from(payload) : payload
  const record = { key: 'demo/first', value, ms: received, ns: 0, scheme: 1, headers: undefined } as const
  const { points, faults, suspects } = decodeRecords([record], new SeriesTable())
  const fields = points.series.map(({ field }, i): [string, Field] => {
    const time = formatInstant({ ms: points.ms[i] ?? 0, ns: points.ns[i] ?? 0 })
    const one = points.values[i] ?? 0
    return [field, time === RECEIVED ? [one] : [one, time]]
  })
  return {
    fields,
    faults: (faults.get(0)?.first ?? []).map(({ path, code }) => `${path}: ${code}`),
    doubts: suspects.map(({ code }) => code),
  }
}
