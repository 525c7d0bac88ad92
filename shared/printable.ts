/**
 * Text from outside, for a terminal, a log or a page: what would steer a terminal, or would not be seen, is shown as an escape.
 * The page has the same list in services/query-api/public/dom.js; a test compares them.
 */

/** What a person does not see, or sees elsewhere than it stands: in no name that people make. */
export const UNSEEN: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/\p{Cc}|[\u2028\u2029]/u, 'control character'],
  [/\p{Bidi_Control}/u, 'character that changes the direction of text'],
  // Variation selectors choose the picture of an emoji.
  [/(?![\ufe00-\ufe0f])\p{Default_Ignorable_Code_Point}/u, 'character of no width'],
  [/\p{Noncharacter_Code_Point}/u, 'code point that is no character'],
]

const UNPRINTABLE = new RegExp(UNSEEN.map(([pattern]) => pattern.source).join('|'), 'gu')

/** One line of text: what could steer a terminal, or would not be seen, as an escape, `\x1b` for ESC and `\u{202e}` beyond. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16)
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`
  })
}

/** The same for text of our own in several lines, whose line feeds stay; with `colors` ours stay, too. */
export function printableLines(text: string, { colors }: { readonly colors: boolean }): string {
  const parts = text.split(colors ? /(\n|\u001b\[\d{1,2}m)/ : /(\n)/)
  return parts.map((part, index) => (index % 2 === 1 ? part : printable(part))).join('')
}

/** JSON that means the same and shows everything: what stands in texts only, as its escape. Line feeds between values stay. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, (character) => {
    // Within texts JSON has these as escapes already.
    if (character < ' ') return character
    return Array.from({ length: character.length }, (_, index) => escaped(character.charCodeAt(index))).join('')
  })
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}
