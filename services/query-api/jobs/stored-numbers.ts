import type { PointStore } from '../../../shared/points/port.ts'
import type { DeclaredField } from '../../../shared/registry/types-port.ts'
import {
  compareInstants,
  fromNanoseconds,
  MAX_INSTANT,
  toNanoseconds,
  type Instant,
  type PointBatch,
  type PointValue,
} from '../../../shared/telemetry.ts'

const PAGE = 10_000

/**
 * The number that the store answers with in the place of each point of the batch, whose points are of one field and, for each
 * device, in time order: the integer where a time has a float, too. Errors: those of the store; the signal's reason.
 */
export async function storedNumbers(
  points: Pick<PointStore, 'query'>,
  batch: PointBatch,
  { tenant, stream, field }: DeclaredField,
  signal: AbortSignal,
): Promise<(PointValue | undefined)[]> {
  const found = new Map<string, PointValue>()
  for (const [device, own] of Map.groupBy(batch.series.keys(), (i) => batch.series[i]?.device ?? '')) {
    const [from, last] = [timeOf(batch, own[0] ?? 0), timeOf(batch, own.at(-1) ?? 0)]
    // Of the last instant that there is nothing is behind.
    const to = compareInstants(last, MAX_INSTANT) >= 0 ? {} : { to: fromNanoseconds(toNanoseconds(last) + 1n) }
    const asked = { tenant, device, stream, field, kind: 'number', joined: true, from, ...to, limit: PAGE } as const
    for (let cursor: string | undefined, isOver = false; !isOver;) {
      signal.throwIfAborted()
      const page = await points.query(cursor === undefined ? asked : { ...asked, cursor })
      for (const { times, values } of page.series) {
        for (const [i, value] of values.entries()) {
          const time = times[i]
          if (time !== undefined) found.set(placeOf(device, time), value)
        }
      }
      cursor = page.next
      isOver = cursor === undefined
    }
  }
  return batch.series.map(({ device }, i) => found.get(placeOf(device, timeOf(batch, i))))
}

function timeOf({ ms, ns }: PointBatch, i: number): Instant {
  return { ms: ms[i] ?? 0, ns: ns[i] ?? 0 }
}

function placeOf(device: string, { ms, ns }: Instant): string {
  return `${ms} ${ns} ${device}`
}
