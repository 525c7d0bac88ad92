import fc from 'fast-check'

/** What the names of tests are made of: ordinary ones, and those that something could take for another. */

/** Tenants and applications. */
export const tenantName = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/)

const pieces = ['/', '+', '#', '%', '%2F', '%252F', ' ', '.', ':', '*', '?', '[', ']', '\\', '"', "'", '=', ',', '$']
const odd = [
  '\n',
  '\r',
  '\t',
  '\u0000',
  '\u0010',
  '\u001a',
  '\u001f',
  '\u007f',
  '\u0085',
  '\u202e',
  '\u200b',
  'ü',
  'u\u0308',
]

/** Devices and streams, with what is special anywhere. */
export const wideName = fc
  .array(
    fc.oneof(fc.constantFrom(...pieces, ...odd, '😀', 'telemetry', 'cmd'), fc.string({ unit: 'binary', maxLength: 4 })),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((parts) => parts.join('').toWellFormed())
  .filter((name) => name !== '' && Buffer.byteLength(name) <= 128)

/** Such that people could give. */
export const HOSTILE_NAMES = [
  'Küche/Lampe 1',
  'Ku\u0308che/Lampe 1',
  'Küche',
  'Lampe 1 ',
  ' Lampe 1',
  'a/b',
  'a%2Fb',
  'a%252Fb',
  '+',
  '#',
  '/',
  '//',
  '$SYS/x',
  'x*?[y]\\',
  'a.b',
  'a:b',
  '"\'`',
  '<b>x</b>',
  '--help',
  '日本語',
  '😀❤️',
  'x'.repeat(128),
  '/'.repeat(128),
]

/** Text that somebody sends who wants it to be more than text, in terminals, pages, logs and queries. */
export const anyText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...pieces,
        ...odd,
        '\u001b[31m',
        '\u001b]0;title\u0007',
        '\u009b2J',
        '\u2028',
        '\ufeff',
        '\u034f',
      ),
      fc.constantFrom(
        '\u3164',
        '\u{e0041}',
        '\uffff',
        '\u2066',
        '\nforged',
        '\r\u001b[Kforged',
        '<img src=x onerror=alert(1)>',
      ),
      fc.constantFrom('") |> drop()', '" or true', '${1+1}', '\\', '\\"', '//', '```', '0', '😀❤️'),
      fc.string({ unit: 'binary', maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.join('').toWellFormed())

/**
 * What of a text steers a terminal or is not seen, said otherwise than in the product: by the general categories of Unicode and
 * by the names of what has none that tells.
 */
export function unseenIn(text: string): string[] {
  return [...text].filter((character) => {
    if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(character)) return true
    if (/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(character)) return true
    return /[\u00ad\u034f\u115f\u1160\u180e\u200b-\u200d\u2060-\u2064\u3164\ufeff\uffa0\uffff\u{e0000}-\u{e007f}]/u.test(
      character,
    )
  })
}
