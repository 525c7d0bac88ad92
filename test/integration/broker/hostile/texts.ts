import { frame, sized, u16 } from '../../../mqtt/packets.ts'
import {
  answered,
  COMMANDS,
  connect,
  first,
  HOSTILE,
  ID,
  loggedIn,
  LOGIN,
  SOUND,
  STATUS,
  type HostileCase,
} from './cases.ts'

/** Bytes that are no UTF-8 [RFC 3629], with what is wrong with them. */
const ILL_FORMED: readonly [string, readonly number[]][] = [
  ['a slash in two bytes', [0xc0, 0xaf]],
  ['U+007F in two bytes', [0xc1, 0xbf]],
  ['a slash in three bytes', [0xe0, 0x80, 0xaf]],
  ['U+07FF in three bytes', [0xe0, 0x9f, 0xbf]],
  ['a slash in four bytes', [0xf0, 0x80, 0x80, 0xaf]],
  ['U+FFFF in four bytes', [0xf0, 0x8f, 0xbf, 0xbf]],
  ['NUL in two bytes', [0xc0, 0x80]],
  ['the first surrogate U+D800', [0xed, 0xa0, 0x80]],
  ['the surrogate U+DBFF', [0xed, 0xaf, 0xbf]],
  ['the surrogate U+DC00', [0xed, 0xb0, 0x80]],
  ['the last surrogate U+DFFF', [0xed, 0xbf, 0xbf]],
  ['a pair of surrogates', [0xed, 0xa0, 0x81, 0xed, 0xb0, 0x80]],
  ['U+110000', [0xf4, 0x90, 0x80, 0x80]],
  ['a lead byte F5', [0xf5, 0x80, 0x80, 0x80]],
  ['a sequence of five bytes', [0xf8, 0x88, 0x80, 0x80, 0x80]],
  ['a sequence of six bytes', [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80]],
  ['a continuation alone', [0x80]],
  ['the last continuation alone', [0xbf]],
  ['a letter of Latin-1', [0xe9, 0x74, 0x65]],
  ['the mark of UTF-16', [0xff, 0xfe]],
  ['the other mark of UTF-16', [0xfe, 0xff]],
  ['two bytes that are cut', [0xc3]],
  ['three bytes that are cut', [0xe2, 0x82]],
  ['four bytes that are cut', [0xf0, 0x9f, 0x98]],
  ['a sequence broken by a letter', [0xe2, 0x41, 0x82]],
]

const CONTROLS = [0x01, 0x09, 0x0a, 0x0d, 0x1b, 0x1f, 0x7f, 0x80, 0x85, 0x9f]

/** Characters at the edges of what is forbidden; with noncharacters, which may be refused, and are taken here. */
const ALLOWED = [0x20, 0x7e, 0xa0, 0xd7ff, 0xe000, 0xfdd0, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x1f600, 0x1ffff, 0x10ffff]

interface Field {
  readonly name: string
  /** Statement that says it is UTF-8, where it has its own. */
  readonly clause: string
  /** A case whose packet has this text in the field. `index` is another for each. */
  make(name: string, text: Buffer): HostileCase
  /** The same with a text that is allowed. */
  allow(name: string, text: Buffer, index: number): HostileCase
}

const good = answered('connack 0 0')
const FIELDS: readonly Field[] = [
  {
    name: 'client id',
    clause: 'MQTT-3.1.3-4',
    make: (name, clientId) => first(name, connect({ ...LOGIN, clientId })),
    allow: (name, clientId) => first(name, connect({ ...LOGIN, clientId }), good),
  },
  {
    name: 'will topic',
    clause: 'MQTT-3.1.3-10',
    make: (name, text) => first(name, connect({ ...LOGIN, flags: 0xc6, will: [below(STATUS, text), HOSTILE] })),
    allow(name, text, index) {
      const will = [below(STATUS, text), SOUND] as const
      return first(name, connect({ ...LOGIN, flags: 0xc6, clientId: `will ${index}`, will }), good)
    },
  },
  {
    name: 'username',
    clause: 'MQTT-3.1.3-11',
    make: (name, text) => first(name, connect({ ...LOGIN, username: below('a', text) })),
    // Names of applications may have any characters; those of devices are of letters and digits.
    allow: (name, username, index) => first(name, connect({ ...LOGIN, username, clientId: `name ${index}` }), good),
  },
  {
    name: 'topic of PUBLISH',
    clause: 'MQTT-3.3.2-1',
    make: (name, text) => loggedIn(name, frame(0x32, sized(below(STATUS, text)), u16(ID), Buffer.from(HOSTILE))),
    allow(name, text) {
      const bytes = frame(0x32, sized(below(STATUS, text)), u16(ID), Buffer.from(SOUND))
      return loggedIn(name, bytes, answered(`puback ${ID}`))
    },
  },
  {
    name: 'filter of SUBSCRIBE',
    clause: 'MQTT-3.8.3-1',
    make: (name, text) => loggedIn(name, frame(0x82, u16(ID), sized(below(COMMANDS, text)), 0)),
    allow: (name, text) =>
      loggedIn(name, frame(0x82, u16(ID), sized(below(COMMANDS, text)), 2), answered(`suback ${ID} 2`)),
  },
  {
    name: 'filter of UNSUBSCRIBE',
    clause: 'MQTT-3.10.3-1',
    make: (name, text) => loggedIn(name, frame(0xa2, u16(ID), sized(below(COMMANDS, text)))),
    allow: (name, text) =>
      loggedIn(name, frame(0xa2, u16(ID), sized(below(COMMANDS, text))), answered(`unsuback ${ID}`)),
  },
]

function below(base: string, text: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${base}/`), text])
}

function codePoint(code: number): string {
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

export const TEXTS: readonly HostileCase[] = FIELDS.flatMap((field) => [
  ...ILL_FORMED.map(([what, bytes]) =>
    field.make(`[MQTT-1.5.3-1, ${field.clause}] ${field.name} with ${what}`, Buffer.from(bytes)),
  ),
  field.make(
    `[MQTT-1.5.3-1, ${field.clause}] ${field.name} with a bad byte behind letters`,
    Buffer.from('abc\xff', 'latin1'),
  ),
  field.make(`[MQTT-1.5.3-2] ${field.name} with NUL alone`, Buffer.from('\0')),
  field.make(`[MQTT-1.5.3-2] ${field.name} with NUL inside`, Buffer.from('a\0b')),
  field.make(`[MQTT-1.5.3-2] ${field.name} with NUL at its end`, Buffer.from('ab\0')),
  ...CONTROLS.map((code) =>
    field.make(`[1.5.3] ${field.name} with ${codePoint(code)}`, Buffer.from(String.fromCodePoint(code))),
  ),
  ...ALLOWED.map((code, index) => {
    const clause = code === 0xfeff ? 'MQTT-1.5.3-3' : '1.5.3'
    const text = Buffer.from(`${String.fromCodePoint(code)}x`)
    return field.allow(`[${clause}] ${field.name} with ${codePoint(code)}, which is allowed`, text, index)
  }),
])

/** Usernames of the cases that log in. */
export const APPLICATIONS: readonly string[] = ALLOWED.map((code) => `${String.fromCodePoint(code)}x`)
