import { SluiceError, type ErrorCode } from '../errors.ts'
import { MAX_INSTANT, type PointBatch, type PointValue, type Series } from '../telemetry.ts'
import type { RejectedPoint } from './port.ts'

/** The least and largest 64-bit integers. */
const MIN_INTEGER = -(2n ** 63n)
const MAX_INTEGER = 2n ** 63n - 1n

/** The points that can be stored; `good` is undefined when all can. */
export function checkPoints({ series, ms, ns, values }: PointBatch): {
  good: number[] | undefined
  rejected: RejectedPoint[]
} {
  const rejected: RejectedPoint[] = []
  let good: number[] | undefined
  for (let index = 0; index < series.length; index++) {
    const identity = series[index]
    const value = values[index]
    if (identity === undefined || value === undefined) throw new TypeError('the columns of a batch differ in length')
    const code = timeProblem(ms[index] ?? NaN, ns[index] ?? NaN) ?? valueProblem(identity, value)
    if (code === undefined) {
      good?.push(index)
      continue
    }
    good ??= Array.from({ length: index }, (_, earlier) => earlier)
    const what = `${identity.tenant}/${identity.device} ${identity.stream} ${identity.field} (${identity.type})`
    rejected.push({ index, error: new SluiceError(code, `${what}: ${describe(value)} at ${ms[index]} ms`) })
  }
  return { good, rejected }
}

function describe(value: PointValue): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : String(value)
}

function timeProblem(ms: number, ns: number): ErrorCode | undefined {
  const whole = Number.isInteger(ms) && Number.isInteger(ns)
  if (!whole || ms < 0 || ns < 0 || ns > 999_999 || ms > MAX_INSTANT.ms) return 'time_out_of_range'
  return ms === MAX_INSTANT.ms && ns > MAX_INSTANT.ns ? 'time_out_of_range' : undefined
}

function valueProblem({ type, field }: Series, value: PointValue): ErrorCode | undefined {
  // UTF-8 has no form for half of a surrogate pair: it would come back as another string.
  if (!field.isWellFormed()) return 'field_name_invalid'
  switch (type) {
    case 'float':
      if (typeof value !== 'number') return 'type_conflict'
      return Number.isFinite(value) ? undefined : 'value_out_of_range'
    case 'integer':
      return integerProblem(value)
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'type_conflict'
    case 'string':
      if (typeof value !== 'string') return 'type_conflict'
      return value.isWellFormed() ? undefined : 'value_unsupported'
  }
}

function integerProblem(value: PointValue): ErrorCode | undefined {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return 'value_out_of_range'
    if (!Number.isInteger(value)) return 'type_conflict'
    return Math.abs(value) <= 2 ** 53 ? undefined : integerProblem(BigInt(value))
  }
  if (typeof value !== 'bigint') return 'type_conflict'
  return value >= MIN_INTEGER && value <= MAX_INTEGER ? undefined : 'value_out_of_range'
}
