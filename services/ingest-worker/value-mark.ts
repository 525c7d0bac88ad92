import type { PointValue } from '../../shared/telemetry.ts'

/**
 * A finite number that tells a value from others of its series: of numbers and booleans the value itself; of texts 53
 * bits, which two texts share once in 10^16.
 */
export function markOf(value: PointValue): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value + 0
  if (typeof value === 'boolean') return value ? 1 : 0
  const text = String(value)
  // Two hashes side by side, over UTF-16 code units: FNV-1a, and one of the same kind with another prime.
  let high = 0x811c9dc5
  let low = 0x9e3779b9
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    high = Math.imul(high ^ unit, 0x01000193)
    low = Math.imul(low ^ unit, 0x85ebca6b)
    low ^= low >>> 13
  }
  return (high & 0x1fffff) * 0x1_0000_0000 + (low >>> 0)
}
