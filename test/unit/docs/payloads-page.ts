import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { keyOfLogin } from '../../../shared/record.ts'
import { Faults } from '../../../shared/faults.ts'
import { idOf, type PolicyDocument } from '../../../shared/policies/document.ts'
import { formatRevision, REVISION_HEADER } from '../../../shared/policies/revision.ts'
import { formatInstant, type PointValue } from '../../../shared/telemetry.ts'

/** The receive time that docs/payloads.md names. */
const received = { ms: Date.UTC(2026, 0, 31, 12), ns: 0 }

/** What becomes of a payload, as docs/payloads.md writes it: points, then faults, then doubtful times. */
export async function describeOutcome(
  value: Uint8Array,
  { document = {} }: { readonly document?: PolicyDocument } = {},
): Promise<string> {
  const rv = formatRevision(idOf(document), '')
  const headers = rv === undefined ? undefined : { [REVISION_HEADER]: rv }
  const record = { key: 'demo/first', value, ...received, scheme: 1, headers } as const
  const table = new SeriesTable()
  await table.policies.learn([record], async (ids) => new Map(ids.map((id) => [id, document])))
  const { points, element, faults, suspects, nulls } = decodeRecords([record], table)
  const { first, counts } = faults.get(0) ?? new Faults()
  const several = Math.max(0, ...element, ...first.map((fault) => fault.element ?? 0)) > 0
  const of = (index: number | null | undefined) => (several && index !== null ? ` [${index}]` : '')
  const lines = points.series.map(({ field }, i) => {
    const at = formatInstant({ ms: points.ms[i] ?? 0, ns: points.ns[i] ?? 0 })
    return `${field}=${write(points.values[i])}${of(element[i])} at ${at}`
  })
  if (nulls > 0) lines.push(`${nulls} null skipped`)
  lines.push(
    ...first.map(
      ({ code, path, element: at }) => `${path === null ? '' : `${JSON.stringify(path)}: `}${code}${of(at)}`,
    ),
  )
  for (const [code, count] of counts) {
    const listed = first.filter((fault) => fault.code === code).length
    if (count > listed) lines.push(`${count - listed} more ${code}`)
  }
  lines.push(...suspects.map((suspect) => `${suspect.code}${of(suspect.element)}`))
  return lines.join('; ')
}

/** The same of a payload for several devices: each point behind the name of its device. */
export function describeSeveral(value: Uint8Array): string {
  const headers = { topic: 't/demo/telemetry', login: 'gateway' }
  const record = { key: keyOfLogin('demo', 'gateway'), value, ...received, scheme: 1, headers } as const
  const { others, faults } = decodeRecords([record], new SeriesTable())
  const lines = others.flatMap(({ device, points }) =>
    points.series.map(({ field }, i) => {
      const at = formatInstant({ ms: points.ms[i] ?? 0, ns: points.ns[i] ?? 0 })
      return `${device}: ${field}=${write(points.values[i])} at ${at}`
    }),
  )
  for (const { code, path, element } of faults.get(0)?.first ?? []) {
    const of = (element ?? 0) > 0 ? ` [${element}]` : ''
    lines.push(`${path === null ? '' : `${JSON.stringify(path)}: `}${code}${of}`)
  }
  return lines.join('; ')
}

/** Integers that no double holds are stored twice, as the worker does: the nearest number, and the digits. */
function write(value: PointValue | undefined): string {
  return typeof value === 'bigint' ? `${Number(value)} and "${value}"` : JSON.stringify(value)
}
