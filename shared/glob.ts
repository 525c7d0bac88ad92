/**
 * True when a text is what a pattern says: `*` stands for any characters, also none, `?` for one code point, and `\` in
 * front of a character for that character. Takes at most length of text times length of pattern, whatever they are.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const parts = parse(pattern)
  const characters = Array.from(text)
  let [at, part] = [0, 0]
  // Where the last star stands, and how far it has been stretched: only the last one ever needs to be tried again.
  let [star, stretched] = [-1, 0]
  while (at < characters.length) {
    const wanted = parts[part]
    if (wanted === ANY) {
      star = part++
      stretched = at
    } else if (wanted === ONE || (wanted !== undefined && wanted === characters[at])) {
      at++
      part++
    } else if (star >= 0) {
      part = star + 1
      at = ++stretched
    } else return false
  }
  while (parts[part] === ANY) part++
  return part === parts.length
}

/** True when the pattern is a name: it stands for one text alone. */
export function isPlainGlob(pattern: string): boolean {
  return !/[*?\\]/.test(pattern)
}

const ANY = Symbol('any characters')
const ONE = Symbol('one character')

function parse(pattern: string): (string | typeof ANY | typeof ONE)[] {
  const parts: (string | typeof ANY | typeof ONE)[] = []
  const characters = Array.from(pattern)
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? ''
    if (character === '*') parts.push(ANY)
    else if (character === '?') parts.push(ONE)
    // One at the very end stands for itself.
    else parts.push(character === '\\' ? (characters[++i] ?? character) : character)
  }
  return parts
}
