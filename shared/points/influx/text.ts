/**
 * How texts are kept in InfluxDB: as they are, but for what its own reading breaks.
 *
 * - An empty text: Flux (v0.196, `StringBuilder.makeBuilder` in array/builder.go) forgets one that follows a run of equal
 *   others, and every later value of the block moves up by one place. It is kept as DLE `0`.
 * - CR: the server's CSV drops it, because it writes LF as CR LF. It is kept as SUB (U+001A).
 * - SUB and DLE (U+0010) themselves: DLE `Z` and DLE `P`.
 */
export function keepText(text: string): string {
  if (text === '') return '\u0010' + '0'
  return /[\r\u001a\u0010]/.test(text) ? text.replace(/[\r\u001a\u0010]/g, (found) => KEPT[found] ?? found) : text
}

/** Inverse of {@link keepText}. */
export function readText(kept: string): string {
  return /[\u001a\u0010]/.test(kept) ? kept.replace(/\u001a|\u0010[0ZP]/g, (found) => READ[found] ?? found) : kept
}

const KEPT: Readonly<Record<string, string>> = { '\r': '\u001a', '\u001a': '\u0010Z', '\u0010': '\u0010P' }
const READ: Readonly<Record<string, string>> = {
  '\u001a': '\r',
  '\u0010Z': '\u001a',
  '\u0010P': '\u0010',
  '\u00100': '',
}
