/** A reading that comes later than this after it was made does not tell. */
const NEAR_MS = 600_000
const WITH_ZONE = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)? ?(?:Z|[+-]\d\d:?\d\d)$/i

/**
 * Whether a value says a time that its reading was not stored under: one near that, but another one. Units as Sluice reads
 * them, by size.
 *
 * @param {number | boolean | string} value
 * @param {number} time of the reading, in ms since 1970
 */
export function looksLikeUnusedTime(value, time) {
  const away = Math.abs(timeOf(value) - time)
  return away >= 1 && away <= NEAR_MS
}

/**
 * @param {number | boolean | string} value
 * @returns {number} in ms since 1970, NaN for none
 */
function timeOf(value) {
  if (typeof value === 'boolean' || value === '') return Number.NaN
  const text = String(value)
  if (WITH_ZONE.test(text)) return Date.parse(text.replace(' ', 'T').replace(',', '.'))
  const number = Number(text)
  if (number < 1e11) return number * 1e3
  if (number < 1e14) return number
  return number < 1e17 ? number / 1e3 : number / 1e6
}
