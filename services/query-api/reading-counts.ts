import type { PointStore } from '../../shared/points/port.ts'
import type { Instant } from '../../shared/telemetry.ts'

/** Points of one field of a device in a span, of all kinds. */
export interface FieldCount {
  readonly stream: string
  readonly field: string
  readonly points: number
}

/** Series per question to the store: each answers with one point. */
const PAGE = 1000

/** How many points each field of a device has in a span; those without any are left out. */
export async function countPoints(
  points: Pick<PointStore, 'query' | 'series'>,
  range: {
    readonly tenant: string
    readonly device: string
    readonly stream?: string | undefined
    readonly from: Instant
    readonly to: Instant
  },
): Promise<FieldCount[]> {
  const { tenant, device, from, to } = range
  const known = new Set((await points.series(tenant, device)).map(({ stream }) => stream))
  const streams = [...known].filter((stream) => range.stream === undefined || stream === range.stream)
  const counts: FieldCount[] = []
  for (const stream of streams) {
    const byField = new Map<string, number>()
    for (let cursor: string | undefined, more = true; more;) {
      const query = { tenant, device, stream, from, to, limit: PAGE, aggregate: { function: 'count' as const } }
      const page = await points.query({ ...query, ...(cursor === undefined ? {} : { cursor }) })
      for (const { field, values } of page.series) {
        byField.set(
          field,
          values.reduce<number>((sum, value) => sum + Number(value), byField.get(field) ?? 0),
        )
      }
      cursor = page.next
      more = cursor !== undefined
    }
    counts.push(...Array.from(byField, ([field, count]) => ({ stream, field, points: count })))
  }
  return counts
}
