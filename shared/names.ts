import { SluiceError } from './errors.ts'
import { printable, UNSEEN } from './printable.ts'

/**
 * Names, and how they stand in topics and keys. They are compared byte by byte and never normalised: `Küche` written with
 * one code point and with two are two names, as they are two topics for MQTT [MQTT-4.7.3-4]. `doctor` lists look-alikes.
 *
 * Tenants and applications: 1 to 64 characters of A-Z a-z 0-9 _ . -, so neither holds a slash, and `{tenant}/{device}`
 * always parts at its first one. Devices and streams: 1 to 128 bytes of UTF-8.
 *
 * Where slashes part names (topics, client ids scoped by login, keys of streams) `/ + # %` and control characters of a
 * device or stream stand percent-encoded, in one way only: two spellings of a topic would be two topics.
 */

const PLAIN = /^[A-Za-z0-9_.-]{1,64}$/

/** Bytes of UTF-8 of a device's or stream's name. */
export const MAX_NAME_BYTES = 128

/** Bytes of UTF-8 of a field's name, flattened. */
export const MAX_FIELD_NAME_BYTES = 1_024

/** True for a string that may name a tenant or an application. */
export function isName(text: string): boolean {
  return PLAIN.test(text)
}

/** True for a string that may name a device or a stream. */
export function isDeviceName(text: string): boolean {
  return PLAIN.test(text) || isText(text, MAX_NAME_BYTES)
}

/** True for a string that may name a field. What a store keeps for itself is no matter of names: it escapes it. */
export function isFieldName(text: string): boolean {
  return text.isWellFormed() && Buffer.byteLength(text) <= MAX_FIELD_NAME_BYTES
}

function isText(text: string, maxBytes: number): boolean {
  // A UTF-16 unit is 1 to 3 bytes of UTF-8: most names need no counting.
  if (text === '' || text.length > maxBytes || !text.isWellFormed()) return false
  return text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes
}

/** What may not stand in a level of a topic, and the sign that encodes it. */
const ENCODED = /[\u0000-\u001f#%+/\u007f-\u009f]/
const EACH_ENCODED = new RegExp(ENCODED, 'g')
/** What {@link encodeName} writes for them. */
const CODES = /%(?:2F|2B|23|25|[01][0-9A-F]|7F|C2%[89][0-9A-F])/g

/** A device or stream as a level of a topic. Names without `/ + # %` and control characters are as they are. */
export function encodeName(name: string): string {
  return ENCODED.test(name) ? name.replace(EACH_ENCODED, encodeURIComponent) : name
}

/** Inverse of {@link encodeName}; undefined for what it never writes. */
export function decodeName(text: string): string | undefined {
  if (!ENCODED.test(text)) return isDeviceName(text) ? text : undefined
  const name = text.replace(CODES, decodeURIComponent)
  return encodeName(name) === text && isDeviceName(name) ? name : undefined
}

/**
 * Checks the name of a device that somebody makes. Errors: `name_invalid` (its form, `.` and `..`), `name_character_invalid`
 * (characters that nobody sees; the message names the first as U+XXXX).
 */
export function checkNewDeviceName(name: string): void {
  const shown = `"${printable(name.slice(0, 80))}"`
  if (!isDeviceName(name)) {
    throw new SluiceError('name_invalid', `device ${shown} is not 1 to ${MAX_NAME_BYTES} bytes of UTF-8`)
  }
  checkNotDots('device', name)
  for (const [pattern, what] of UNSEEN) {
    const found = pattern.exec(name)?.[0]
    if (found === undefined) continue
    throw new SluiceError('name_character_invalid', `device ${shown} contains ${codePoint(found)}, a ${what}`)
  }
}

/** Checks the name of a tenant or an application (`what`) that somebody makes. Error: `name_invalid`. */
export function checkNewName(what: string, name: string): void {
  if (!isName(name)) {
    const shown = `"${printable(name.slice(0, 80))}"`
    throw new SluiceError('name_invalid', `${what} ${shown} is not 1 to 64 characters of A-Z a-z 0-9 _ . -`)
  }
  checkNotDots(what, name)
}

/** They are not names in a path or a URL. */
function checkNotDots(what: string, name: string): void {
  if (name === '.' || name === '..') throw new SluiceError('name_invalid', `"${name}" cannot be the name of a ${what}`)
}

/** `U+202E` */
function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}
