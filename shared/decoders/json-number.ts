const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

export type NumberProblem = 'value_out_of_range' | 'value_not_exact'

/**
 * The value of a JSON number by its text: the nearest double, as for every float. But a whole number written without an
 * exponent is an integer and never rounded: a number when a double holds it exactly, else a bigint when 64 bits do.
 */
export function numberValue(text: string): number | bigint | NumberProblem {
  const value = Number(text)
  if (!Number.isFinite(value)) return 'value_out_of_range'
  // No integer beyond 2^53 is rounded to one below.
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value
  const integer = integerPart(text)
  if (integer === undefined) return value
  const exact = BigInt(integer)
  if (BigInt(value) === exact) return value
  return exact >= MIN_INT64 && exact <= MAX_INT64 ? exact : 'value_not_exact'
}

/** The digits of a whole number, with or without a fraction of zeros. */
function integerPart(text: string): string | undefined {
  if (/[eE]/.test(text)) return undefined
  const point = text.indexOf('.')
  if (point < 0) return text
  return /^0*$/.test(text.slice(point + 1)) ? text.slice(0, point) : undefined
}
