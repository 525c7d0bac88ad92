export type NumberProblem = 'value_out_of_range'

/**
 * The value of a JSON number by its text: the nearest double, as for every float. But a number written without fraction
 * and exponent is an integer and never rounded: it is a bigint when no double holds it exactly.
 */
export function numberValue(text: string): number | bigint | NumberProblem {
  const value = Number(text)
  if (!Number.isFinite(value)) return 'value_out_of_range'
  // No integer beyond 2^53 is rounded to one below.
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER || /[.eE]/.test(text)) return value
  return doubleOf(BigInt(text))
}

/** An integer as a double; as it is where no double holds it exactly. */
export function doubleOf(exact: bigint): number | bigint {
  const value = Number(exact)
  return BigInt(value) === exact ? value : exact
}
