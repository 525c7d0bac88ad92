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
