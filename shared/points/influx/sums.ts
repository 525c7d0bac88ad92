import type { Instant } from '../../telemetry.ts'

const MAX_INTEGER = 2n ** 63n - 1n

/** True when no sum of these integers, in whatever windows, leaves 64 bits: by their count, least and largest. */
export function canSumExactly(figures: ReadonlyMap<string, bigint>): boolean {
  const [count = 0n, min = 0n, max = 0n] = [figures.get('count'), figures.get('min'), figures.get('max')]
  const magnitude = -min > max ? -min : max
  return count * magnitude <= MAX_INTEGER
}

export interface WindowSum {
  readonly time: Instant
  readonly sum: bigint
  readonly count: number
}

/**
 * Sums integers, given in time order, by windows aligned to 1970, or all of them at the time of the first. Hands each
 * window on when it is complete, the last one at the end.
 */
export function foldWindows(intervalMs: number | undefined, onWindow: (window: WindowSum) => void) {
  let window: { key: number; time: Instant; sum: bigint; count: number } | undefined
  return {
    add(time: Instant, value: bigint): void {
      const key = intervalMs === undefined ? 0 : Math.floor(time.ms / intervalMs)
      if (window !== undefined && window.key !== key) this.end()
      window ??= { key, time: intervalMs === undefined ? time : { ms: key * intervalMs, ns: 0 }, sum: 0n, count: 0 }
      window.sum += value
      window.count++
    },
    end(): void {
      if (window !== undefined) onWindow(window)
      window = undefined
    },
  }
}
