import { REVISION_HEADER } from '../../../shared/policies/revision.ts'
import type { PointStore } from '../../../shared/points/port.ts'
import { SAME_TIME_HEADER } from '../../../shared/record.ts'
import { isSameValue } from '../../../shared/points/stored-values.ts'
import { compareInstants, kindOf, type Instant, type LogRecord, type PointValue } from '../../../shared/telemetry.ts'

const SECOND_MS = 1_000
/** Values of one second that are looked through. */
const MAX_MOVED = 1_000

/** What is looked for: a value, and where its message alone would have it stored. */
interface Sought {
  readonly stream: string
  readonly field: string
  readonly kind: ReturnType<typeof kindOf>
  readonly time: Instant
  readonly value: PointValue
}

interface Owner {
  readonly tenant: string
  readonly device: string
}

/** Where in its second the value of a place that was taken was put; undefined when it was not. */
export async function movedTo(
  points: Pick<PointStore, 'query'>,
  sought: Sought,
  owner: Owner,
  record: LogRecord,
): Promise<Instant | undefined> {
  const { kind, time } = sought
  const isState = kind !== 'number' && time.ns === 0 && time.ms % SECOND_MS === 0
  if (!isState && record.headers?.[REVISION_HEADER] === undefined && record.headers?.[SAME_TIME_HEADER] === undefined)
    return undefined
  return find(points, sought, owner, { from: time, isIn: (at) => compareInstants(at, time) > 0 })
}

/** Whether the value stands at the other instant, in ms, that its local time may mean. */
export async function inOtherHour(
  points: Pick<PointStore, 'query'>,
  sought: Sought,
  owner: Owner,
  other: number,
): Promise<Instant | undefined> {
  if (other === sought.time.ms) return undefined
  return find(points, sought, owner, { from: { ms: other, ns: sought.time.ns }, isIn: () => true })
}

async function find(
  points: Pick<PointStore, 'query'>,
  { stream, field, kind, value }: Sought,
  { tenant, device }: Owner,
  { from, isIn }: { readonly from: Instant; readonly isIn: (at: Instant) => boolean },
): Promise<Instant | undefined> {
  const to = { ms: from.ms + SECOND_MS, ns: 0 }
  const page = await points.query({ tenant, device, stream, from, to, limit: MAX_MOVED })
  for (const series of page.series) {
    if (series.field !== field || kindOf(series.type) !== kind) continue
    for (const [i, one] of series.values.entries()) {
      const at = series.times[i]
      if (at !== undefined && isIn(at) && isSameValue(one, value)) return at
    }
  }
  return undefined
}
