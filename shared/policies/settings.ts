import { DECODER_NAMES, isDecoderName } from '../decoders/decoder-names.ts'
import { isZoneName } from '../decoders/zone.ts'
import type { WorkerFeature } from '../features.ts'

/** What a policy may say. Absent: whatever the next wider place says, and in the end the default. */
export interface PolicySettings {
  /** What a text is that would be a number without its quotes. */
  readonly quoted_numbers?: 'text' | 'number'
  /** Keys that hold the time of a reading. */
  readonly time_keys?: readonly string[]
  /** IANA name of the zone of times that say none; `none`: such times are not read. */
  readonly time_zone?: string
  /** Zones of devices, before `time_zone`: `door=Europe/Berlin`. By the name in the topic, or the uid. */
  readonly device_zones?: readonly string[]
  /** What becomes of a reading whose time is more than a day ahead of the receive time. */
  readonly time_future?: TimeRule
  /** What becomes of a reading whose time is before 2000. */
  readonly time_ancient?: TimeRule
  /** What becomes of a reading that says no time, or one that says nothing: empty, zero, local without a zone. */
  readonly time_absent?: TimeRule
  /** What becomes of a value that has the time of another one of its field and kind. */
  readonly same_time?: SameTime
  /** The format of payloads; `auto`: whichever of JSON, line protocol and plain text it is. */
  readonly decoder?: string
  /** Whether payloads may be compressed: told by their first bytes, or never. */
  readonly compression?: 'auto' | 'none'
  /** As what bytes are kept that are no text. */
  readonly bytes?: BytesForm
  /** Tags of line protocol posted over HTTP that name the device: of those that a line has the first of these. */
  readonly device_tags?: readonly string[]
  /** As which text payloads write the bytes of their format. */
  readonly encoding?: TextEncoding
  /** Columns of CSV; none: the first line of each payload names them. */
  readonly csv_columns?: readonly string[]
  /** Fields whose texts are integers in hexadecimal digits. */
  readonly hex_numbers?: readonly string[]
  /** Fields whose texts write bytes, which are a value themselves. */
  readonly base64_fields?: readonly string[]
  readonly hex_fields?: readonly string[]
  /** Whether a text is one where nobody said what payloads are: until the stream has carried JSON, or always. */
  readonly plain_text?: 'until_json' | 'always'
}

export type TextEncoding = 'none' | 'base64' | 'hex'

export type BytesForm = 'base64' | 'base64url' | 'hex'

/**
 * Stored at its time, or with a note at the nearest time that is taken, or with a note at the receive time, or not stored but
 * kept as a letter.
 */
export type TimeRule = (typeof TIME_RULES)[number]

const TIME_RULES = ['accept', 'clamp', 'restamp', 'quarantine'] as const

/**
 * Both are kept, or the later one takes the place of the other. By kind: texts and booleans whose time has no fraction of a
 * second are kept, of others the last one is.
 */
export type SameTime = 'by_kind' | 'keep' | 'last'

export type SettingName = keyof PolicySettings

/** Every setting has a value. */
export type Policy = Required<PolicySettings>

/** What holds where nobody said anything, and for every record that was stamped with no policy. */
export const DEFAULT_POLICY: Policy = {
  quoted_numbers: 'text',
  time_keys: ['ts', 'time', 'timestamp'],
  time_zone: 'none',
  device_zones: [],
  time_future: 'quarantine',
  time_ancient: 'accept',
  time_absent: 'accept',
  same_time: 'by_kind',
  decoder: 'auto',
  compression: 'auto',
  bytes: 'base64',
  device_tags: ['device', 'host', 'entity_id', 'topic', 'name'],
  encoding: 'none',
  csv_columns: [],
  hex_numbers: [],
  base64_fields: [],
  hex_fields: [],
  plain_text: 'until_json',
}

const MAX_TIME_KEYS = 16
const MAX_COLUMNS = 256
const MAX_KEY_BYTES = 1024

interface Setting {
  /** What is taken, for a person. */
  readonly takes: string
  readonly allows: (value: unknown) => boolean
  /** It is several, written with commas between them where it is one text. */
  readonly isList?: boolean
  /** What workers must read before it may be set: those that do not would take no notice of it. */
  readonly feature?: WorkerFeature
  /** The same of one value alone. */
  readonly featureOf?: Readonly<Record<string, WorkerFeature>>
}

export const SETTINGS: Readonly<Record<SettingName, Setting>> = {
  quoted_numbers: oneOf('text', 'number'),
  time_keys: namesUpTo(MAX_TIME_KEYS),
  time_zone: { takes: 'the IANA name of a time zone, such as Europe/Berlin, or none', allows: isZone },
  device_zones: {
    takes: `1 to ${MAX_COLUMNS} devices with their zones, such as door=Europe/Berlin`,
    allows: areDeviceZones,
    isList: true,
    feature: 'time-rules',
  },
  time_future: { ...oneOf(...TIME_RULES), featureOf: { clamp: 'time-rules' } },
  time_ancient: { ...oneOf(...TIME_RULES), featureOf: { clamp: 'time-rules' } },
  time_absent: { ...oneOf(...TIME_RULES), feature: 'time-rules' },
  same_time: oneOf('by_kind', 'keep', 'last'),
  decoder: {
    takes: `one of ${DECODER_NAMES.join(', ')}, codec:NAME, protobuf:NAME`,
    allows: isDecoder,
    feature: 'decoders',
  },
  compression: { ...oneOf('auto', 'none'), feature: 'decoders' },
  bytes: { ...oneOf('base64', 'base64url', 'hex'), feature: 'decoders' },
  device_tags: { ...namesUpTo(MAX_TIME_KEYS, 'tags'), feature: 'lines-1' },
  encoding: { ...oneOf('none', 'base64', 'hex'), feature: 'decoders' },
  csv_columns: { ...namesUpTo(MAX_COLUMNS), feature: 'decoders' },
  hex_numbers: { ...namesUpTo(MAX_COLUMNS), feature: 'decoders' },
  base64_fields: { ...namesUpTo(MAX_COLUMNS), feature: 'encoded-fields' },
  hex_fields: { ...namesUpTo(MAX_COLUMNS), feature: 'encoded-fields' },
  plain_text: oneOf('until_json', 'always'),
}

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[]

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name)
}

function namesUpTo(most: number, what = 'fields'): Setting {
  const takes = `1 to ${most} different names of ${what}`
  return { takes, allows: (value) => areKeys(value, most), isList: true }
}

function areKeys(value: unknown, most: number): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > most) return false
  const isKey = (key: unknown) => typeof key === 'string' && key !== '' && Buffer.byteLength(key) <= MAX_KEY_BYTES
  return value.every(isKey) && new Set(value).size === value.length
}

function areDeviceZones(value: unknown): boolean {
  if (!areKeys(value, MAX_COLUMNS)) return false
  const zones = (value as readonly string[]).map(deviceZoneOf) // by the check before
  const names = new Set(zones.map((one) => one?.device))
  return zones.every((one) => one !== undefined) && names.size === zones.length
}

/** Inverse of how a zone of a device is written; undefined for what is none. */
export function deviceZoneOf(text: string): { readonly device: string; readonly zone: string } | undefined {
  const [, device, zone] = /^(.+)=([^=]+)$/s.exec(text) ?? []
  return device === undefined || zone === undefined || !isZoneName(zone) ? undefined : { device, zone }
}

function isDecoder(value: unknown): boolean {
  return typeof value === 'string' && isDecoderName(value)
}

function isZone(value: unknown): boolean {
  return value === 'none' || (typeof value === 'string' && isZoneName(value))
}

function oneOf(...values: readonly string[]): Setting {
  return {
    takes: `one of ${values.join(', ')}`,
    allows: (value) => typeof value === 'string' && values.includes(value),
  }
}
