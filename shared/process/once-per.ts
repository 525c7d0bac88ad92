/**
 * For lines that come back with every attempt while something is broken: true at most once in `ms` for each kind, of which
 * there must be few.
 */
export function oncePer(ms: number, now: () => number = () => performance.now()): (kind?: string) => boolean {
  const told = new Map<string, number>()
  return (kind = '') => {
    const at = now()
    if (at - (told.get(kind) ?? -Infinity) < ms) return false
    told.set(kind, at)
    return true
  }
}

/** How often a failure that lasts is told. */
export const TELL_EVERY_MS = 10_000
