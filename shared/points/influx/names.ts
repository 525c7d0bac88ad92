import type { ErrorCode } from '../../errors.ts'
import type { FieldType, Series } from '../../telemetry.ts'

/**
 * How names are kept in InfluxDB.
 *
 * Measurement: `{tenant}.{stream}`. Both may hold dots, so a dot of the tenant is written as `:`, which no name may hold:
 * the first dot always separates, and tenant `a.b` with stream `c` never meets tenant `a` with stream `b.c`.
 *
 * Field: the field's name. Line protocol cannot escape a backslash in it (one in front of a comma, a space, an equals
 * sign or the end would change what follows), so a backslash is written as U+001A, which no field name may hold.
 *
 * Names that InfluxDB keeps for itself are written behind U+001E: `time`, which it would drop with a 204 (#23024), all that
 * begin with `_`, and the empty one.
 *
 * InfluxDB pins the type of a field key, in a measurement and shard. So the name itself is the key of one type, float
 * unless the registry says otherwise, and values of another type lie under the name, U+001F and the type: `state` and
 * `state\u001ftext`.
 */
const DOT_OF_TENANT = ':'
const BACKSLASH_OF_FIELD = '\u001a'
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
  return measurementPrefix(tenant) + stream
}

/** The tenant of a measurement; undefined for one that is no stream's. */
export function tenantOf(measurement: string): string | undefined {
  const dot = measurement.indexOf('.')
  return dot < 0 ? undefined : measurement.slice(0, dot).replaceAll(DOT_OF_TENANT, '.')
}

/** The field key of a series. Inverse: {@link fieldOf}. */
export function fieldKeyOf({ field, type, plain = 'float' }: Pick<Series, 'field' | 'type' | 'plain'>): string {
  const written = field.replaceAll('\\', BACKSLASH_OF_FIELD)
  const name = field === '' || field === 'time' || field.startsWith('_') ? BEFORE_RESERVED + written : written
  return type === plain ? name : `${name}${BEFORE_TYPE}${TYPE_NAMES[type]}`
}

export function fieldOf(key: string): string {
  const end = key.indexOf(BEFORE_TYPE)
  const start = key.startsWith(BEFORE_RESERVED) ? BEFORE_RESERVED.length : 0
  return key.slice(start, end < 0 ? undefined : end).replaceAll(BACKSLASH_OF_FIELD, '\\')
}

/**
 * False for names that would come back as others. The name rules of topics allow none of them; this holds whoever asks.
 */
export function areStorable(tenant: string, device?: string, stream?: string): boolean {
  if (!isStorable(tenant) || tenant.includes(DOT_OF_TENANT) || tenant.startsWith('#')) return false
  return (device === undefined || isStorable(device)) && (stream === undefined || isStorable(stream))
}

/** What is wrong with the name of a field; undefined when nothing is. */
export function fieldProblem(field: string): ErrorCode | undefined {
  return !field.isWellFormed() || /\p{Cc}/u.test(field) ? 'field_name_invalid' : undefined
}

function isStorable(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[\p{Cc}\\]/u.test(name)
}
