/** From here on numbers are summed a notch lower, so that a sum of large ones cannot overflow on its way. */
const LARGE = 2 ** 960
const NOTCH = 2 ** 128
/** From here on a number that is a notch lower is still exact. */
const SMALL = 2 ** -800

/**
 * The exact sum of doubles, rounded once when it is read: the answer is the same in any order and however the numbers
 * were grouped, so that a sum over summaries is the sum over the points. Shewchuk, "Adaptive Precision Floating-Point
 * Arithmetic" (1997), as in Python's `math.fsum`.
 */
export class ExactSum {
  // While two parts are enough for the small numbers, as nearly always, they are these. Adding to -0 changes nothing; it is
  // a double from the beginning, too, which 0 is not: the engine keeps such a field without a box.
  #top = -0
  #rest = -0
  #isEmpty = true
  /** Non-overlapping, in growing magnitude; together exactly the sum. Numbers from 2^960 on are in `#high`, / 2^128. */
  #more: number[] | undefined
  readonly #high: number[] = []

  /** A finite number. */
  add(value: number): void {
    if (value >= LARGE || value <= -LARGE) grow(this.#high, value / NOTCH)
    else this.#addLow(value)
  }

  /** An integer of 64 bits: its halves are exact doubles. */
  addInteger(value: number | bigint): void {
    if (typeof value === 'number') return this.add(value)
    this.add(Number(value >> 32n) * 2 ** 32)
    this.add(Number(value & 0xffff_ffffn))
  }

  /** Adds what another sum's {@link parts} hold. */
  addParts({ low, high }: SumParts): void {
    for (const part of low) this.#addLow(part)
    for (const part of high) grow(this.#high, part)
  }

  get parts(): SumParts {
    return { low: this.#low, high: this.#high }
  }

  get #low(): readonly number[] {
    if (this.#more !== undefined) return this.#more
    if (this.#isEmpty) return []
    return this.#rest === 0 ? [this.#top] : [this.#rest, this.#top]
  }

  #addLow(value: number): void {
    if (this.#more !== undefined) return grow(this.#more, value)
    const top = this.#top
    const rest = this.#rest
    // Knuth's sum of two, three times: what a rounded sum leaves out, exactly, whichever of the two is larger.
    const sum = top + value
    const added = sum - top
    const lost = top - (sum - added) + (value - added)
    const below = rest + lost
    const part = below - rest
    if (rest - (below - part) + (lost - part) !== 0) {
      this.#more = [...this.#low]
      return grow(this.#more, value)
    }
    this.#isEmpty = false
    if (below === 0) {
      this.#top = sum
      this.#rest = below
      return
    }
    const whole = sum + below
    const carried = whole - sum
    this.#top = whole
    this.#rest = sum - (whole - carried) + (below - carried)
  }

  /** The sum; infinite only when it lies beyond the doubles itself. */
  total(): number {
    return this.#over(1)
  }

  /** The sum divided by a count: finite, because no mean lies outside its numbers. */
  mean(count: number): number {
    return this.#over(count)
  }

  #over(divisor: number): number {
    if (this.#high.length === 0) return rounded(this.#low) / divisor
    const both = [...this.#high]
    const small: number[] = []
    for (const part of this.#low) {
      if (Math.abs(part) < SMALL) small.push(part)
      else grow(both, part / NOTCH)
    }
    if (Math.abs(rounded(both)) < LARGE / NOTCH) {
      // The large ones cancelled each other, perhaps to the last bit: what is left fits where it belongs.
      for (const part of both) grow(small, part * NOTCH)
      return rounded(small) / divisor
    }
    // Beside these the small ones only say on which side of a half the sum lies.
    grow(both, Math.sign(small.at(-1) ?? 0) * Number.MIN_VALUE)
    return (rounded(both) / divisor) * NOTCH
  }
}

export interface SumParts {
  readonly low: readonly number[]
  readonly high: readonly number[]
}

function grow(parts: number[], value: number): void {
  let carry = value
  let kept = 0
  for (const part of parts) {
    const [large, small] = Math.abs(carry) < Math.abs(part) ? [part, carry] : [carry, part]
    const sum = large + small
    const lost = small - (sum - large)
    if (lost !== 0) parts[kept++] = lost
    carry = sum
  }
  parts.length = kept
  parts.push(carry)
}

/** The parts as one double, rounded half to even. */
function rounded(parts: readonly number[]): number {
  let at = parts.length - 1
  let sum = parts[at] ?? 0
  let lost = 0
  while (at > 0 && lost === 0) {
    const part = parts[--at] ?? 0
    const before = sum
    sum = before + part
    lost = part - (sum - before)
  }
  // Exactly half way was rounded to even; a further part on the same side makes it more than half.
  const next = parts[at - 1] ?? 0
  if ((lost < 0 && next < 0) || (lost > 0 && next > 0)) {
    const double = lost * 2
    const nudged = sum + double
    if (double === nudged - sum) return nudged
  }
  return sum
}
