/** By UTF-16 code units, as JavaScript compares: the order in which stores list names, and in which rows are locked. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * By code points, which is the order of their UTF-8 and of SQLite: it differs from {@link compareText} beyond U+FFFF.
 * Halves of surrogate pairs, which no name has, come last.
 */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [one, other] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (one !== other) return lifted(one) - lifted(other)
  }
  return a.length - b.length
}

/** Code units so that surrogates, which stand for U+10000 and more, are the largest. */
function lifted(unit: number): number {
  if (unit < 0xd800) return unit
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000
}
