import { createHash } from 'node:crypto'
import { SluiceError } from '../errors.ts'
import { FIELD_TYPES, KINDS, MAX_INSTANT, type Instant, type Kind } from '../telemetry.ts'
import { placeType } from './joined.ts'
import type { Aggregate, PointQuery, PointRange, SeriesType } from './port.ts'

const VERSION = 2
const MAX_LIMIT = 10_000
const AGGREGATES: readonly string[] = ['min', 'max', 'mean', 'sum', 'count', 'first', 'last']

/** A query after its checks, with the place where the cursor says to go on. */
export interface CheckedQuery {
  readonly range: PointRange
  readonly limit: number
  readonly kind: Kind | undefined
  readonly joined: boolean
  readonly aggregate: { readonly function: Aggregate; readonly intervalMs: number | undefined } | undefined
  readonly resume: Place | undefined
}

/** The next point to hand out is of this series at `time` or later, or else of a later series. */
export interface Place {
  readonly field: string
  readonly type: SeriesType
  readonly time: Instant
}

/** The query after its checks. Errors: `bad_request` naming the part that is wrong, `cursor_invalid`. */
export function checkQuery(query: PointQuery): CheckedQuery {
  const { tenant, device, stream, field, from, to, limit, kind, joined = false, cursor, aggregate } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new SluiceError('bad_request', `limit: ${limit} is not a whole number from 1 to ${MAX_LIMIT}`)
  }
  checkInstant('from', from)
  checkInstant('to', to)
  if (aggregate !== undefined) checkAggregate(aggregate)
  if (kind !== undefined && !KINDS.includes(kind)) {
    throw new SluiceError('bad_request', `kind: "${kind}" is not one of ${KINDS.join(', ')}`)
  }
  return {
    range: {
      tenant,
      device,
      stream,
      ...(field === undefined ? {} : { field }),
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
    },
    limit,
    kind,
    joined,
    aggregate: aggregate && { function: aggregate.function, intervalMs: aggregate.intervalMs },
    resume: cursor === undefined ? undefined : decodeCursor(query, cursor),
  }
}

/** Error: `bad_request`, for a time that no point can have. */
export function checkInstant(name: string, time: Instant | undefined): void {
  if (time === undefined || isInstant(time.ms, time.ns)) return
  throw new SluiceError('bad_request', `${name}: ${time.ms} ms and ${time.ns} ns is not a time between 1970 and 2262`)
}

/**
 * A cursor names the next point by its series and time, so that it stays good whatever is written in between, and
 * carries a fingerprint of its query, because with another one it would skip points.
 */
export function encodeCursor(query: PointQuery, { field, type, time }: Place): string {
  return Buffer.from(JSON.stringify([VERSION, fingerprint(query), field, type, time.ms, time.ns])).toString('base64url')
}

function decodeCursor(query: PointQuery, cursor: string): Place {
  const parts = parseCursor(cursor)
  if (!Array.isArray(parts) || parts.length !== 6) throw new SluiceError('cursor_invalid', 'the cursor is not valid')
  const [version, print, field, type, ms, ns] = parts as unknown[]
  if (version !== VERSION || typeof field !== 'string' || !isType(type) || !isInstant(ms, ns)) {
    throw new SluiceError('cursor_invalid', 'the cursor is not valid')
  }
  if (print !== fingerprint(query)) throw new SluiceError('cursor_invalid', 'the cursor belongs to another query')
  return { field, type: placeType(type, query.joined === true), time: { ms: Number(ms), ns: Number(ns) } }
}

/** What a cursor of ours holds. Error: `cursor_invalid`. */
export function parseCursor(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch (error) {
    throw new SluiceError('cursor_invalid', 'the cursor is not valid', { cause: error })
  }
}

/** Of all that decides which points come in which order; the limit may change from page to page. */
function fingerprint({ tenant, device, stream, field, from, to, kind, joined, aggregate }: PointQuery): string {
  const parts = [tenant, device, stream, field, from?.ms, from?.ns, to?.ms, to?.ns, aggregate?.function]
  const text = JSON.stringify([...parts, aggregate?.intervalMs, kind, joined])
  return createHash('sha256').update(text).digest('base64url').slice(0, 11)
}

function checkAggregate({ function: name, intervalMs }: NonNullable<PointQuery['aggregate']>): void {
  if (!AGGREGATES.includes(name)) {
    throw new SluiceError('bad_request', `aggregate: "${name}" is not one of ${AGGREGATES.join(', ')}`)
  }
  if (intervalMs === undefined || (Number.isInteger(intervalMs) && intervalMs >= 1 && intervalMs <= MAX_INSTANT.ms))
    return
  throw new SluiceError('bad_request', `interval: ${intervalMs} is not a whole number of milliseconds from 1`)
}

/** True for the name of a type. */
export function isType(type: unknown): type is SeriesType {
  return type === 'number' || FIELD_TYPES.some((known) => known === type)
}

/** True for a moment that a point can have, and for the one behind the last. */
export function isInstant(ms: unknown, ns: unknown): boolean {
  if (typeof ms !== 'number' || typeof ns !== 'number' || !Number.isInteger(ms) || !Number.isInteger(ns)) return false
  // One nanosecond behind the last point is the `to` that includes it.
  const last = ms < MAX_INSTANT.ms || (ms === MAX_INSTANT.ms && ns <= MAX_INSTANT.ns + 1)
  return ms >= 0 && ns >= 0 && ns <= 999_999 && last
}
