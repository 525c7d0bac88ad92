/** Beyond this nobody has mistyped. */
const MAX_SLIPS = 2

/**
 * The word that was meant most likely: of `known` the one with the fewest changed, missing, doubled or swapped letters, at most
 * `maxSlips` (2 or fewer) and less than half of it, without regard to case. Undefined when there is none.
 */
export function nearest(word: string, known: Iterable<string>, maxSlips = MAX_SLIPS): string | undefined {
  let best: string | undefined
  let fewest = Infinity
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < fewest && distance <= maxSlips && distance * 2 < candidate.length) {
      best = candidate
      fewest = distance
    }
  }
  return best
}

/** Letters to insert, remove, replace, or swap with their neighbour (optimal string alignment); Infinity beyond the limit. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > MAX_SLIPS) return Infinity
  let [older, old]: number[][] = [[], Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= a.length; row += 1) {
    const now = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const at = (line: number[] | undefined, index: number): number => line?.[index] ?? Infinity
      const isSame = a[row - 1] === b[column - 1]
      const isSwapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      now[column] = Math.min(
        at(old, column) + 1,
        at(now, column - 1) + 1,
        at(old, column - 1) + (isSame ? 0 : 1),
        isSwapped ? at(older, column - 2) + 1 : Infinity,
      )
    }
    ;[older, old] = [old, now]
  }
  return old?.[b.length] ?? Infinity
}
