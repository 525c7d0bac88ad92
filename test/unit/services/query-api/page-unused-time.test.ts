import { expect, it } from 'vitest'
import { looksLikeUnusedTime } from '../../../../services/query-api/public/unused-time.js'

const T = Date.parse('2026-11-30T12:00:00Z')

it.each([
  [T / 1000 - 3, true],
  [T - 3_000, true],
  [(T - 3_000) * 1e3, true],
  [(T - 3_000) * 1e6, true],
  [String(T / 1000 - 3), true],
  ['2026-11-30T12:59:57+0100', true],
  ['2026-11-30 11:59:57,5Z', true],
  ['2026-11-30T12:59:57', false],
  [T / 1000, false],
  [T, false],
  [T / 1000 - 601, false],
  ['', false],
  ['on', false],
  [true, false],
  [21.5, false],
  [0, false],
])('%j of a reading at noon looks like a time that is not used: %j', (value, looks) => {
  expect(looksLikeUnusedTime(value, T)).toBe(looks)
})
