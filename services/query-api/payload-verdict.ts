import Type, { type Static } from 'typebox'
import type { Decoded } from '../../shared/decoders/decode.ts'
import type { Fault } from '../../shared/faults.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { meaningOf } from '../../shared/registry/types-port.ts'
import { formatInstant, kindOf, KINDS, type LogRecord } from '../../shared/telemetry.ts'
import { parseDeviceKey } from '../../shared/topics.ts'
import { FaultView } from './letter-view.ts'
import { jsonValue } from './live-events.ts'
import { outsideOf } from '../../shared/types/meaning.ts'
import { ownedPoints } from './owned-points.ts'
import { Value } from './time.ts'

/** Points that are shown one by one. */
const SHOWN_POINTS = 1_000

/** What a payload holds, as a worker would store it. */
export const PayloadVerdict = Type.Object({
  points: Type.Array(
    Type.Object({
      element: Type.Integer({ description: 'Index of the reading in the payload.' }),
      device: Type.String(),
      stream: Type.String(),
      field: Type.String(),
      kind: Type.Enum([...KINDS]),
      time: Type.String({ format: 'date-time' }),
      value: Value,
    }),
    { description: 'The first thousand.' },
  ),
  pointCount: Type.Integer({ description: 'All of them.' }),
  nulls: Type.Integer({ description: 'Fields that are null, of which nothing is stored.' }),
  faults: Type.Array(FaultView, { description: 'What is refused of it: the first hundred.' }),
  faultCount: Type.Integer({ description: 'All of them.' }),
  warnings: Type.Array(FaultView, { description: 'What is doubtful of what is stored.' }),
})
export type PayloadVerdict = Static<typeof PayloadVerdict>

export const NOTHING: PayloadVerdict = { points: [], pointCount: 0, nulls: 0, faults: [], faultCount: 0, warnings: [] }

/**
 * What `record`, which was decoded alone, holds. Readings of devices that there are not are refused, but for those of
 * `expected`, and so are numbers outside of a range that is declared to be kept.
 */
export function viewVerdict(
  decoded: Decoded,
  record: LogRecord,
  { names, declaredTypes }: Pick<Registry, 'names' | 'declaredTypes'>,
  expected?: string,
): PayloadVerdict {
  const tenant = parseDeviceKey(record.key)?.tenant ?? ''
  const { first = [], total = 0 } = decoded.faults.get(0) ?? {}
  const refused: Fault[] = []
  const marked: Fault[] = []
  const points: PayloadVerdict['points'] = []
  let pointCount = 0
  for (const { device, points: batch, element } of ownedPoints(decoded, record.key, names)) {
    if (batch.series.length === 0) continue
    if (!names.isKnown(tenant, device) && device !== expected) {
      const detail = `there is no device ${JSON.stringify(device)}`
      refused.push({ element: null, path: null, code: 'device_unknown', detail })
      continue
    }
    for (const [i, series] of batch.series.entries()) {
      const { stream, field, type } = series
      const meaning = meaningOf(declaredTypes, series)
      const detail = meaning && outsideOf(meaning, batch.values[i] ?? '')
      if (detail !== undefined) {
        const isFault = meaning?.outside === 'fault'
        const code = isFault ? 'value_outside_range' : 'value_marked'
        ;(isFault ? refused : marked).push({ element: element[i] ?? 0, path: field, code, detail })
        if (isFault) continue
      }
      pointCount += 1
      if (points.length >= SHOWN_POINTS) continue
      const time = formatInstant({ ms: batch.ms[i] ?? 0, ns: batch.ns[i] ?? 0 })
      const value = jsonValue(batch.values[i] ?? 0)
      points.push({ element: element[i] ?? 0, device, stream, field, kind: kindOf(type), time, value })
    }
  }
  const suspects = decoded.suspects.map(({ element, code, detail }) => ({ element, path: null, code, detail }))
  const warnings = [...suspects, ...marked.slice(0, 100)]
  const faults = [...first, ...refused].slice(0, 100)
  return { points, pointCount, nulls: decoded.nulls, faults, faultCount: total + refused.length, warnings }
}
