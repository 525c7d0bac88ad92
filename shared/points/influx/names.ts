import type { ErrorCode } from '../../errors.ts'
import type { FieldType, Series } from '../../telemetry.ts'

/**
 * How names are kept in InfluxDB, so that no two meet and each comes back as it was.
 *
 * Measurement: `{tenant}.{stream}`. Both may hold dots, so a dot of the tenant is written as `:`, which no tenant may
 * hold: the first dot always separates, and tenant `a.b` with stream `c` never meets tenant `a` with stream `b.c`.
 *
 * Devices (a tag), streams and fields are as they are, but for what line protocol has no form for. It cannot escape a
 * backslash (one in front of a comma, a space, an equals sign or the end would change what follows): a backslash is
 * written as SUB (U+001A). A line feed ends the line, and the CSV of answers loses CR: a control character is written as
 * DLE (U+0010) and the two hexadecimal digits of its code. So SUB and DLE themselves are `DLE 1a` and `DLE 10`.
 *
 * Names that InfluxDB keeps for itself are written behind U+001E: `time`, which it would drop with a 204 (#23024), all that
 * begin with `_`, and the empty one.
 *
 * InfluxDB pins the type of a field key, in a measurement and shard. So the name itself is the key of one type, float
 * unless the registry says otherwise, and values of another type lie under the name, U+001F and the type: `state` and
 * `state\u001ftext`.
 */
const DOT_OF_TENANT = ':'
const BACKSLASH = '\u001a'
const BEFORE_CODE = '\u0010'
const BEFORE_TYPE = '\u001f'
const BEFORE_RESERVED = '\u001e'

const TYPE_NAMES: Readonly<Record<FieldType, string>> = {
  float: 'float',
  integer: 'integer',
  boolean: 'boolean',
  string: 'text',
}

/** What comes in front of the stream in the measurements of a tenant. */
export function measurementPrefix(tenant: string): string {
  return `${tenant.replaceAll('.', DOT_OF_TENANT)}.`
}

export function measurementOf(tenant: string, stream: string): string {
  return measurementPrefix(tenant) + keepName(stream)
}

/** A device, stream or field as it is kept. Inverse: {@link readName}. */
export function keepName(name: string): string {
  if (!/[\p{Cc}\\]/u.test(name)) return name
  return name.replace(/[\p{Cc}\\]/gu, (found) => {
    if (found === '\\') return BACKSLASH
    return BEFORE_CODE + found.charCodeAt(0).toString(16).padStart(2, '0')
  })
}

export function readName(kept: string): string {
  if (!/[\u0010\u001a]/.test(kept)) return kept
  return kept.replace(/\u001a|\u0010([0-9a-f]{2})/g, (_, code?: string) => {
    return code === undefined ? '\\' : String.fromCharCode(Number.parseInt(code, 16))
  })
}

/** The tenant of a measurement; undefined for one that is no stream's. */
export function tenantOf(measurement: string): string | undefined {
  const dot = measurement.indexOf('.')
  return dot < 0 ? undefined : measurement.slice(0, dot).replaceAll(DOT_OF_TENANT, '.')
}

/** The field key of a series. Inverse: {@link fieldOf}. */
export function fieldKeyOf({ field, type, plain = 'float' }: Pick<Series, 'field' | 'type' | 'plain'>): string {
  const kept = keepName(field)
  const name = field === '' || field === 'time' || field.startsWith('_') ? BEFORE_RESERVED + kept : kept
  return type === plain ? name : `${name}${BEFORE_TYPE}${TYPE_NAMES[type]}`
}

/** Every field key that a field may have. */
export function fieldKeysOf(field: string): string[] {
  const types = Object.keys(TYPE_NAMES) as FieldType[]
  const typed = types.map((type) => fieldKeyOf({ field, type, plain: type === 'float' ? 'string' : 'float' }))
  return [fieldKeyOf({ field, type: 'float' }), ...typed]
}

export function fieldOf(key: string): string {
  const end = key.indexOf(BEFORE_TYPE)
  const start = key.startsWith(BEFORE_RESERVED) ? BEFORE_RESERVED.length : 0
  return readName(key.slice(start, end < 0 ? undefined : end))
}

/** False for names that would come back as others. The name rules allow none of them; this holds whoever asks. */
export function areStorable(tenant: string, device?: string, stream?: string): boolean {
  if (!isStorable(tenant) || /[\p{Cc}\\:]|^#/u.test(tenant)) return false
  return (device === undefined || isStorable(device)) && (stream === undefined || isStorable(stream))
}

/** What is wrong with the name of a field; undefined when nothing is. */
export function fieldProblem(field: string): ErrorCode | undefined {
  return field.isWellFormed() ? undefined : 'field_name_invalid'
}

function isStorable(name: string): boolean {
  return name !== '' && name.isWellFormed()
}
