import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { formatInstant } from '../../../shared/telemetry.ts'

/** The receive time that docs/payloads.md names. */
const received = { ms: Date.UTC(2026, 0, 31, 12), ns: 0 }

/** What becomes of a payload, as docs/payloads.md writes it: points, then rejects, then doubtful times. */
export function describeOutcome(value: Uint8Array): string {
  const record = { key: 'demo/first', value, ...received, scheme: 1, headers: undefined } as const
  const { points, element, rejects, suspects, nulls } = decodeRecords([record], new SeriesTable())
  const several = Math.max(0, ...element, ...rejects.map((reject) => reject.element)) > 0
  const of = (index: number | undefined) => (several ? ` [${index}]` : '')
  const lines = points.series.map(({ field }, i) => {
    const at = formatInstant({ ms: points.ms[i] ?? 0, ns: points.ns[i] ?? 0 })
    return `${field}=${JSON.stringify(points.values[i])}${of(element[i])} at ${at}`
  })
  if (nulls > 0) lines.push(`${nulls} null skipped`)
  lines.push(...rejects.map((reject) => `${reject.code}${of(reject.element)}`))
  lines.push(...suspects.map((suspect) => `${suspect.code}${of(suspect.element)}`))
  return lines.join('; ')
}
