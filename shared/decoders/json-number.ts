const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

export type NumberProblem = 'value_out_of_range' | 'value_not_exact'

/**
 * The value of a JSON number by its text. With a fraction or an exponent it is the nearest double, as every float is.
 * Without, it is an integer and never rounded: a number when a double holds it exactly, else a bigint when 64 bits do.
 */
export function numberValue(text: string, fractional: boolean): number | bigint | NumberProblem {
  const value = Number(text)
  if (!Number.isFinite(value)) return 'value_out_of_range'
  // No integer beyond 2^53 is rounded to one below.
  if (fractional || Number.isSafeInteger(value)) return value
  const exact = BigInt(text)
  if (BigInt(value) === exact) return value
  return exact >= MIN_INT64 && exact <= MAX_INT64 ? exact : 'value_not_exact'
}
