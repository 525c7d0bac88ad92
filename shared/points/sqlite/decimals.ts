/** Below this, differences of two numbers and their zigzag form stay exact in a double. */
export const EXACT = 2 ** 51

/** Powers of ten that doubles hold exactly; more decimals than these do not fit 2^51 anyway. */
export const POWERS = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent)

/**
 * The whole number m for which m / 10^k is this very double, or undefined. Division of two exact doubles rounds once,
 * as reading the decimal text does, so decimals of up to 15 digits always have one. -0 has none.
 */
export function scaled(value: number, power: number): number | undefined {
  const whole = Math.round(value * power)
  if (whole > EXACT || whole < -EXACT || whole / power !== value) return undefined
  return whole === 0 && Object.is(value, -0) ? undefined : whole
}
