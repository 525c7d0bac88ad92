import { createHash } from 'node:crypto'
import { SluiceError } from '../errors.ts'
import { isPlainGlob, matchesGlob } from '../glob.ts'
import { FIELD_TYPES, KINDS, kindOf, MAX_INSTANT, type FieldType, type Instant, type Kind } from '../telemetry.ts'
import { compareCodePoints } from '../text-order.ts'
import { checkInstant, isInstant, isType, parseCursor } from './cursor.ts'
import { orderOf, placeType } from './joined.ts'
import type { PointScan, ScanBudget, SeriesType } from './port.ts'

const VERSION = 's1'
const MAX_DEVICES = 10_000
const MAX_PATTERNS = 100
const BUDGETS = ['series', 'points', 'bytes', 'ms'] as const

/** Just behind the last moment that a point can have. */
const END_OF_SCAN: Instant = { ms: MAX_INSTANT.ms, ns: MAX_INSTANT.ns + 1 }

/** Identity of a series of a tenant, in the order of a scan. */
export interface ScanSeries {
  readonly device: string
  readonly stream: string
  readonly field: string
  readonly type: SeriesType
}

/** One that is stored. */
export interface StoredScanSeries extends ScanSeries {
  readonly type: FieldType
}

/** The next point to hand out is of this series at `time` or later, or else of a later series. */
export interface ScanPlace extends ScanSeries {
  readonly time: Instant
}

/** Before everything. */
export const FIRST_PLACE: ScanPlace = placeOfDevice('')

/** A scan after its checks; it crosses to threads. */
export interface CheckedScan {
  readonly tenant: string
  /** In order, each once; undefined = all. */
  readonly devices: readonly string[] | undefined
  readonly streams: readonly string[] | undefined
  readonly fields: readonly string[] | undefined
  readonly kinds: readonly Kind[] | undefined
  readonly joined: boolean
  readonly from: Instant
  readonly to: Instant
  readonly stepMs: number | undefined
  readonly budget: ScanBudget
  readonly resume: ScanPlace
}

/** The scan after its checks. Errors: `bad_request` naming the part that is wrong, `cursor_invalid`. */
export function checkScan(scan: PointScan): CheckedScan {
  const {
    tenant,
    selector,
    kinds,
    joined = false,
    from = { ms: 0, ns: 0 },
    to = END_OF_SCAN,
    stepMs,
    budget,
    cursor,
  } = scan
  checkInstant('from', from)
  checkInstant('to', to)
  for (const name of BUDGETS) {
    if (!Number.isSafeInteger(budget[name]) || budget[name] < 1) {
      throw new SluiceError('bad_request', `budget: ${budget[name]} ${name} is not a whole number from 1`)
    }
  }
  checkCount('devices', selector.devices, MAX_DEVICES)
  checkCount('streams', selector.streams, MAX_PATTERNS)
  checkCount('fields', selector.fields, MAX_PATTERNS)
  const unknown = kinds?.find((kind) => !KINDS.includes(kind))
  if (unknown !== undefined)
    throw new SluiceError('bad_request', `kind: "${unknown}" is not one of ${KINDS.join(', ')}`)
  if (stepMs !== undefined && (!Number.isInteger(stepMs) || stepMs < 1 || stepMs > MAX_INSTANT.ms)) {
    throw new SluiceError('bad_request', `step: ${stepMs} is not a whole number of milliseconds from 1`)
  }
  const devices = selector.devices && [...new Set(selector.devices)].sort(compareCodePoints)
  const resume = cursor === undefined ? FIRST_PLACE : decodeCursor(scan, cursor)
  const { streams, fields } = selector
  const { series, points, bytes, ms } = budget
  return {
    tenant,
    devices,
    streams,
    fields,
    kinds,
    joined,
    from,
    to,
    stepMs,
    budget: { series, points, bytes, ms },
    resume,
  }
}

/** True for a series of the tenant that the scan asks for, whatever its device. */
export function isAsked(
  { streams, fields, kinds }: CheckedScan,
  { stream, field, type }: Omit<StoredScanSeries, 'device'>,
) {
  return (
    (kinds === undefined || kinds.includes(kindOf(type))) && matchesAny(streams, stream) && matchesAny(fields, field)
  )
}

/** Order in which a scan hands series out. */
export function compareScanSeries(a: ScanSeries, b: ScanSeries): number {
  return (
    compareCodePoints(a.device, b.device) ||
    compareCodePoints(a.stream, b.stream) ||
    compareCodePoints(a.field, b.field) ||
    orderOf(a.type) - orderOf(b.type)
  )
}

/** Before all series of a device. */
export function placeOfDevice(device: string): ScanPlace {
  return { device, stream: '', field: '', type: FIELD_TYPES[0] ?? 'string', time: { ms: 0, ns: 0 } }
}

/** Behind all points of a series. */
export function placeBehind({ device, stream, field, type }: ScanSeries): ScanPlace {
  return { device, stream, field, type, time: END_OF_SCAN }
}

/** True for a place of {@link placeBehind}. */
export function isBehind({ time }: ScanPlace): boolean {
  return time.ms === END_OF_SCAN.ms && time.ns === END_OF_SCAN.ns
}

/** See {@link encodeCursor} of pages: of a scan it names the device and stream, too. */
export function encodeScanCursor(scan: PointScan, { device, stream, field, type, time }: ScanPlace): string {
  const parts = [VERSION, fingerprint(scan), device, stream, field, type, time.ms, time.ns]
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

function decodeCursor(scan: PointScan, cursor: string): ScanPlace {
  const parts = parseCursor(cursor)
  if (!Array.isArray(parts) || parts.length !== 8) throw new SluiceError('cursor_invalid', 'the cursor is not valid')
  const [version, print, device, stream, field, type, ms, ns] = parts as unknown[]
  const areNames = [device, stream, field].every((name) => typeof name === 'string')
  if (version !== VERSION || !areNames || !isType(type) || !isInstant(ms, ns)) {
    throw new SluiceError('cursor_invalid', 'the cursor is not valid')
  }
  if (print !== fingerprint(scan)) throw new SluiceError('cursor_invalid', 'the cursor belongs to another scan')
  const time = { ms: Number(ms), ns: Number(ns) }
  const names = { device: String(device), stream: String(stream), field: String(field) }
  return { ...names, type: placeType(type, scan.joined === true), time }
}

/** Of all that decides which points come in which order; budgets may change. */
function fingerprint({
  tenant,
  selector: { devices, streams, fields },
  kinds,
  joined,
  from,
  to,
  stepMs,
}: PointScan): string {
  const parts = [tenant, devices, streams, fields, kinds, joined, from?.ms, from?.ns, to?.ms, to?.ns, stepMs]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 11)
}

function matchesAny(patterns: readonly string[] | undefined, name: string): boolean {
  if (patterns === undefined) return true
  return patterns.some((pattern) => (isPlainGlob(pattern) ? pattern === name : matchesGlob(pattern, name)))
}

function checkCount(name: string, list: readonly string[] | undefined, most: number): void {
  if (list === undefined || list.length <= most) return
  throw new SluiceError('bad_request', `${name}: ${list.length} are more than ${most}`)
}
