import { randomInt } from 'node:crypto'
import type { ErrorCode } from '../errors.ts'
import { isFieldName, MAX_FIELD_NAME_BYTES } from '../names.ts'

/**
 * Names kept. Devices of one kind share theirs, so a fleet has some hundreds; what comes on top is made up by clients.
 * About 25 MB when full of the longest names, 3 MB of usual ones; then all are forgotten and learnt again.
 */
export const MAX_NAMES = 10_000

/** Names that one payload may add on top of those: no honest one has so many, and what it would cost grows with each. */
const MAX_NAMES_AT_ONCE = 4 * MAX_NAMES

/**
 * Keys of formats that many devices speak (OwnTracks, weewx, Tasmota, Vega): the time when none of those above is one and
 * the value is a time near the receive time. They stay fields.
 */
const OTHER_TIME_KEYS: ReadonlySet<string> = new Set(['tst', 'dateTime', 'datetime', 'Time', 'UTC'])
/** Keys whose objects and lists only hold the fields: what is in them is called as if it stood beside them. */
const ENVELOPES: ReadonlySet<string> = new Set(['values', 'sensordatavalues', 'sensorDatas'])
const BUCKETS = 16_384
/** Of a name that is too long, for a person to find it. */
const SHOWN_BYTES = 64
const QUOTE = 0x22

/** A flattened field name. Two ways to spell one (`{"a.b":1}`, `{"a":{"b":1}}`) meet in the same object. */
export interface FieldName {
  readonly text: string
  /** The reading in which the name was last seen: how duplicates are noticed without a set per reading. */
  seen: number
}

/** What a key means where it stands. */
export type KeyRole = 'field' | 'time' | 'perhaps time' | 'values'

/** A key of an object at one place of the structure. */
export interface Key {
  readonly parent: Scope
  readonly role: KeyRole
  readonly name: FieldName
  /** The last part of the name: what the key says. */
  readonly text: string
  /** Why no field may have this name. */
  readonly refused: ErrorCode | undefined
  /** What lies below the key when its value is an object; see {@link FieldNames.below}. */
  scope: Scope | undefined
  /** What lies below it when its value is a list of readings; see {@link FieldNames.readings}. */
  readings: Scope | undefined
  /** The reading in which the key was last seen. */
  seen: number
  /** The key that followed last time, or that came first in the object: devices repeat themselves. */
  next: Key | undefined
  /** The key as it stands in a payload. */
  readonly bytes: Uint8Array
  /** False for keys that can only be written with an escape: bytes are never compared with theirs. */
  readonly plain: boolean
  /** Some of the bytes are beyond ASCII: whether they are UTF-8 has to be looked at in each payload. */
  readonly beyondAscii: boolean
  readonly hash: number
  /** Next key of the same hash bucket. */
  readonly chain: Key | undefined
}

/** An object's place: what its keys are prefixed with. */
export interface Scope {
  readonly id: number
  readonly prefix: string
  readonly kind: 'top' | 'values' | 'nested'
  first: Key | undefined
}

/**
 * Field names by the bytes of their keys, so that a known name costs a comparison and no string.
 * Names are shared over devices; the bound is {@link MAX_NAMES}, and the hash is seeded against made-up collisions.
 */
export class FieldNames {
  readonly #timeKeys: ReadonlySet<string>
  readonly #seed = randomInt(0x7fff_ffff)
  #buckets: (Key | undefined)[] = []
  #names = new Map<string, FieldName>()
  /** Keys with a quote or a backslash in them, which never equal bytes of a payload. By scope id and text. */
  #escaped = new Map<string, Key>()
  #size = 0
  #scopes = 0
  #top: Scope
  #flat: Scope

  /** `timeKeys` hold the time of the device when they stand at the top of a reading. */
  constructor(timeKeys: readonly string[]) {
    this.#timeKeys = new Set(timeKeys)
    this.#top = this.#clear()
    this.#flat = this.#scope('', 'values')
  }

  /** Where a reading starts. Between readings is when a full table is emptied: keys hold while one is read. */
  top(): Scope {
    if (this.#size > MAX_NAMES) {
      this.#top = this.#clear()
      this.#flat = this.#scope('', 'values')
    }
    return this.#top
  }

  /** Where values are whose decoder gives them by name, whatever that is. */
  flat(): Scope {
    return this.#flat
  }

  get size(): number {
    return this.#size
  }

  /** Where the object starts that is the value of a key. */
  below(key: Key): Scope {
    key.scope ??=
      key.role === 'values' ? this.#scope(key.parent.prefix, 'values') : this.#scope(`${key.name.text}.`, 'nested')
    return key.scope
  }

  /** Where each reading of a list of them starts that is the value of a key. */
  readings(key: Key): Scope {
    key.readings ??= this.#scope(this.below(key).prefix, 'top')
    return key.readings
  }

  /** True when the bytes from `start` are those of the plain key, followed by the closing quote. */
  matches(key: Key, buffer: Uint8Array, start: number): boolean {
    const bytes = key.bytes
    const length = bytes.length
    if (buffer[start + length] !== QUOTE) return false
    for (let i = 0; i < length; i++) if (buffer[start + i] !== bytes[i]) return false
    return true
  }

  /** The key of the bytes from `start` to `end`, which hold no escape and are well-formed UTF-8 if the payload is. */
  find(scope: Scope, buffer: Uint8Array, start: number, end: number): Key {
    if (end - start > MAX_FIELD_NAME_BYTES) {
      return this.#tooLong(scope, Buffer.from(buffer.subarray(start, start + SHOWN_BYTES)).toString('utf8'))
    }
    const hash = this.#hash(scope, buffer, start, end)
    const head = this.#buckets[hash & (BUCKETS - 1)]
    for (let key = head; key !== undefined; key = key.chain) {
      if (key.hash === hash && key.parent === scope && key.bytes.length === end - start) {
        if (this.matches(key, buffer, start)) return key
      }
    }
    if (this.#size >= MAX_NAMES_AT_ONCE) return this.#tooMany(scope, buffer, start, end)
    const bytes = Uint8Array.prototype.slice.call(buffer, start, end)
    const key = this.#make(scope, Buffer.from(bytes).toString('utf8'), { bytes, hash, chain: head, plain: true })
    this.#buckets[hash & (BUCKETS - 1)] = key
    return key
  }

  /** The key of a text that was written with escapes. */
  findText(scope: Scope, text: string): Key {
    const bytes = Buffer.from(text, 'utf8')
    if (bytes.length > MAX_FIELD_NAME_BYTES) return this.#tooLong(scope, text.slice(0, SHOWN_BYTES))
    // Such bytes between quotes are something else in a payload, so these keys stay out of the table of bytes.
    if (!/["\\\p{Cc}]/u.test(text) && text.isWellFormed()) {
      return this.find(scope, Buffer.concat([bytes, Buffer.of(QUOTE)]), 0, bytes.length)
    }
    const id = `${scope.id} ${text}`
    const known = this.#escaped.get(id)
    if (known !== undefined) return known
    if (this.#size >= MAX_NAMES_AT_ONCE) return this.#tooMany(scope, bytes, 0, bytes.length)
    const key = this.#make(scope, text, { bytes, hash: 0, chain: undefined, plain: false })
    this.#escaped.set(id, key)
    return key
  }

  #make(parent: Scope, text: string, place: Pick<Key, 'bytes' | 'hash' | 'chain' | 'plain'>): Key {
    const beyondAscii = isBeyondAscii(place.bytes)
    const full = parent.prefix + text
    this.#size += 1
    let name = this.#names.get(full)
    if (name === undefined) {
      name = { text: full, seen: 0 }
      this.#names.set(full, name)
    }
    const role = roleOf(parent, text, this.#timeKeys)
    const refused = isFieldName(full) ? undefined : 'field_name_invalid'
    const below = { scope: undefined, readings: undefined }
    return { parent, role, name, text, refused, ...below, seen: 0, next: undefined, beyondAscii, ...place }
  }

  /** Refused whatever it says, and not worth remembering: it may be as long as the payload. */
  #tooLong(parent: Scope, beginning: string): Key {
    // A character that the cut went through is left out.
    return this.#refused(parent, `${beginning.replace(/\ufffd+$/, '')}...`, 'field_name_invalid')
  }

  #tooMany(parent: Scope, buffer: Uint8Array, start: number, end: number): Key {
    return this.#refused(parent, Buffer.from(buffer.subarray(start, end)).toString('utf8'), 'reading_too_wide')
  }

  #refused(parent: Scope, text: string, refused: ErrorCode): Key {
    const name = { text: parent.prefix + text, seen: 0 }
    const place = { bytes: new Uint8Array(0), plain: false, beyondAscii: false, hash: 0, chain: undefined }
    const below = { scope: parent, readings: undefined }
    return { parent, role: 'field', name, text: '', refused, ...below, seen: 0, next: undefined, ...place }
  }

  #scope(prefix: string, kind: Scope['kind']): Scope {
    this.#scopes += 1
    return { id: this.#scopes, prefix, kind, first: undefined }
  }

  /** FNV-1a over the bytes, begun with the seed and the scope. */
  #hash(scope: Scope, buffer: Uint8Array, start: number, end: number): number {
    let hash = Math.imul(this.#seed ^ scope.id, 0x0100_0193)
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ (buffer[i] ?? 0), 0x0100_0193)
    return (hash ^ (hash >>> 15)) | 0
  }

  #clear(): Scope {
    this.#buckets = new Array<Key | undefined>(BUCKETS).fill(undefined)
    this.#names = new Map()
    this.#escaped = new Map()
    this.#size = 0
    return this.#scope('', 'top')
  }
}

function roleOf(parent: Scope, text: string, timeKeys: ReadonlySet<string>): KeyRole {
  if (parent.kind !== 'top') return 'field'
  if (timeKeys.has(text)) return 'time'
  if (OTHER_TIME_KEYS.has(text)) return 'perhaps time'
  return ENVELOPES.has(text) ? 'values' : 'field'
}

function isBeyondAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] ?? 0) >= 0x80) return true
  return false
}
