import type { PointValue } from '../telemetry.ts'

/**
 * Characters of text in one page, the last value excepted: with the longest texts that are stored the largest page would be a
 * hundred times as long as one of numbers, and whoever answers stood still while it is written.
 */
export const PAGE_CHARACTERS = 524_288

/** True when there is more than a page holds, so that reading on is of no use. */
export function isOverfull(values: readonly PointValue[]): boolean {
  return fitting(values, values.length, PAGE_CHARACTERS).count < values.length
}

/** How many of the first `most` values fit into `room` characters. The first one of a page always fits. */
export function fitting(values: readonly PointValue[], most: number, room: number): { count: number; left: number } {
  let left = room
  let count = 0
  for (const value of values) {
    if (count >= most || left <= 0) break
    if (typeof value === 'string') left -= value.length
    count += 1
  }
  return { count, left }
}
