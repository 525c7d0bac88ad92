import type { ErrorCode } from './errors.ts'
import { nearest } from './nearest.ts'
import { decodeName, encodeName, isDeviceName, isName, MAX_NAME_BYTES } from './names.ts'

/** The topic grammar: `t/{tenant}/{device}/telemetry[/{stream}]` and the other topics below a device. */

/** The stream of a topic that names none. */
export const DEFAULT_STREAM = 'telemetry'

export interface TelemetryTopic {
  readonly tenant: string
  readonly device: string
  readonly stream: string
}

/** The parts of a telemetry topic, or undefined when `topic` is not one. Never throws. */
export function parseTelemetryTopic(topic: string): TelemetryTopic | undefined {
  const levels = topic.split('/')
  const [root, tenant, deviceLevel, kind, streamLevel = DEFAULT_STREAM] = levels
  if (root !== 't' || kind !== 'telemetry' || levels.length > 5) return undefined
  if (tenant === undefined || deviceLevel === undefined || !isName(tenant)) return undefined
  const device = decodeName(deviceLevel)
  const stream = decodeName(streamLevel)
  return device === undefined || stream === undefined ? undefined : { tenant, device, stream }
}

/** The tenant of a topic for readings of several devices, which the payload names: `t/{tenant}/telemetry`. */
export function parseTenantTopic(topic: string): string | undefined {
  const [root, tenant, kind, below] = topic.split('/', 4)
  return root === 't' && kind === 'telemetry' && below === undefined && isName(tenant ?? '') ? tenant : undefined
}

/** The topic of a stream; the default stream has the short form. Inverse of {@link parseTelemetryTopic}. */
export function formatTelemetryTopic({ tenant, device, stream }: TelemetryTopic): string {
  const base = `${topicOfDevice(tenant, device)}/telemetry`
  return stream === DEFAULT_STREAM ? base : `${base}/${encodeName(stream)}`
}

/** `t/{tenant}/{device}`, what all topics of a device begin with. */
export function topicOfDevice(tenant: string, device: string): string {
  return `t/${tenant}/${encodeName(device)}`
}

/** Whose a topic below `t/{tenant}/{device}/` is; undefined for all others. */
export function parseDeviceTopic(topic: string): { tenant: string; device: string } | undefined {
  const [root, tenant, level, below] = topic.split('/', 4)
  if (root !== 't' || tenant === undefined || level === undefined || below === undefined) return undefined
  const device = decodeName(level)
  return isName(tenant) && device !== undefined ? { tenant, device } : undefined
}

/** A topic that names a device or a stream as no name stands in a topic. */
export interface TopicFault {
  readonly code: Extract<ErrorCode, 'topic_encoding_invalid' | 'topic_unknown'>
  readonly detail: string
}

/** What is wrong with the names in a topic below `t/`; undefined when nothing is. Not for hot paths. */
export function faultOfTopic(topic: string): TopicFault | undefined {
  const [root, , device, kind, stream] = topic.split('/', 6)
  if (root !== 't' || device === undefined || kind === undefined) return undefined
  return faultOfLevel('device', device) ?? (kind === 'telemetry' ? faultOfLevel('stream', stream) : undefined)
}

function faultOfLevel(part: 'device' | 'stream', level: string | undefined): TopicFault | undefined {
  if (level === undefined || decodeName(level) !== undefined) return undefined
  const shown = quoted(level)
  if (level === '') return { code: 'topic_unknown', detail: `level ${part === 'device' ? 3 : 5}: the ${part} is empty` }
  // One name has one encoding, so whatever is decoded and encoded again was to be written like this.
  const meant = encodeName(decodeLoosely(level))
  if (meant === level)
    return { code: 'topic_unknown', detail: `the ${part} ${shown} is longer than ${MAX_NAME_BYTES} bytes` }
  const detail = `the ${part} ${shown} is not encoded as names are: was ${JSON.stringify(meant.slice(0, 128))} meant?`
  return { code: 'topic_encoding_invalid', detail }
}

/** What lies below `t/{tenant}/{device}/`. */
const KINDS = ['telemetry', 'status', 'cmd', 'notice']

/**
 * Why a topic below `t/` whose names are in order (see {@link faultOfTopic}) is none of those of a device: the level that makes it
 * none, and what should stand there. Not for hot paths.
 */
export function whyUnknown(topic: string): string {
  const [, tenant, device, kind, , beyond] = topic.split('/', 7)
  if (tenant === undefined) return 'level 2, the tenant, is missing'
  if (!isName(tenant)) return `level 2, the tenant ${quoted(tenant)}, is not 1 to 64 characters of A-Z a-z 0-9 _ . -`
  if (device === undefined) return 'level 3, the device, is missing'
  const must = 'telemetry, status, cmd or notice'
  if (kind === undefined) return `level 4 is missing: it must be ${must}`
  if (!KINDS.includes(kind)) {
    const meant = nearest(kind, KINDS)
    return `level 4 is ${quoted(kind)}: it must be ${must}${meant === undefined ? '' : `; was "${meant}" meant?`}`
  }
  if (beyond === undefined) return `level 4 is ${quoted(kind)}, which is not published to like this`
  return `level 6, ${quoted(beyond)}, is one too many: a stream is one level, in which / is written as %2F`
}

/** A level as a message shows it. */
function quoted(level: string): string {
  return JSON.stringify(level.slice(0, MAX_NAME_BYTES))
}

const TRIPLETS = /(?:%[0-9A-Fa-f]{2})+/g

/** Percent signs that do not encode UTF-8 stand for themselves. */
function decodeLoosely(level: string): string {
  return level.replace(TRIPLETS, (codes) => {
    const text = Buffer.from(codes.replaceAll('%', ''), 'hex').toString('utf8')
    return text.includes('\ufffd') ? codes : text
  })
}

/**
 * `{tenant}/{device}`: the name of a login; with its uid in place of the name the record key of a device, which keeps its
 * records in one partition, in order.
 */
export function deviceKey(tenant: string, device: string): string {
  return `${tenant}/${device}`
}

/** Identity of a stream as one text: no two have the same. */
export function streamKey({ tenant, device, stream }: TelemetryTopic): string {
  return `${tenant}/${device.length}/${device}/${stream}`
}

/** What the type of a field is pinned for, in all devices of a tenant; its name may hold a slash, but comes last. */
export function fieldKey(names: { readonly tenant: string; readonly stream: string; readonly field: string }): string {
  return `${names.tenant}/${encodeName(names.stream)}/${names.field}`
}

/** Tenant and device of a record key or username, or undefined when it is neither. */
export function parseDeviceKey(key: string): { tenant: string; device: string } | undefined {
  const slash = key.indexOf('/')
  if (slash < 0) return undefined
  const tenant = key.slice(0, slash)
  const device = key.slice(slash + 1)
  return isName(tenant) && isDeviceName(device) ? { tenant, device } : undefined
}
