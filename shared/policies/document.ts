import { createHash } from 'node:crypto'
import { SluiceError } from '../errors.ts'
import type { WorkerFeature } from '../features.ts'
import { isDeviceName } from '../names.ts'
import { compareText } from '../text-order.ts'
import { DEFAULT_POLICY, isSettingName, SETTING_NAMES, SETTINGS } from './settings.ts'
import type { Policy, PolicySettings, SettingName } from './settings.ts'

/** The policies of a tenant: for all of its streams, and for some of them. Of the whole installation there are no streams. */
export interface PolicyDocument extends PolicySettings {
  readonly streams?: Readonly<Record<string, PolicySettings>>
}

/** Whose a document is: a tenant, or everybody's default. */
export type PolicyScope = string | undefined

/** Bytes of a document as JSON. */
export const MAX_DOCUMENT_BYTES = 64 * 1024
/** Hexadecimal digits of an id: nobody but administrators makes documents, so none is made to collide. */
const ID_DIGITS = 16

/**
 * The document that `value`, which was read from JSON or YAML, is. Error: `policy_invalid`, naming the place, and where
 * `at` knows it also where that is written.
 */
export function readDocument(
  value: unknown,
  scope: PolicyScope,
  at: (path: readonly string[]) => string = () => '',
): PolicyDocument {
  const fail = (path: readonly string[], problem: string): never => {
    const place = path.length === 0 ? 'the document' : path.join('.')
    throw new SluiceError('policy_invalid', `${at(path)}${place} ${problem}`)
  }
  const { streams, ...settings } = objectAt(value, [], fail)
  const read = settingsOf(settings, [], fail)
  if (streams === undefined) return checkSize(read, fail)
  if (scope === undefined) fail(['streams'], 'belongs to a tenant, not to the default')
  const byStream: [string, PolicySettings][] = []
  for (const [stream, one] of Object.entries(objectAt(streams, ['streams'], fail)).sort(([a], [b]) =>
    compareText(a, b),
  )) {
    const path = ['streams', stream]
    if (!isDeviceName(stream)) fail(path, 'is not the name of a stream')
    const found = settingsOf(objectAt(one, path, fail), path, fail)
    if (Object.keys(found).length > 0) byStream.push([stream, found])
  }
  return checkSize(byStream.length === 0 ? read : { ...read, streams: Object.fromEntries(byStream) }, fail)
}

type Fail = (path: readonly string[], problem: string) => never

function objectAt(value: unknown, path: readonly string[], fail: Fail): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fail(path, 'is not an object')
  return value as Readonly<Record<string, unknown>>
}

/** In the order of the table, so that equal documents are equal texts. */
function settingsOf(value: Readonly<Record<string, unknown>>, path: readonly string[], fail: Fail): PolicySettings {
  const unknown = Object.keys(value).find((name) => !isSettingName(name))
  if (unknown !== undefined) fail([...path, unknown], `is no setting; there are ${SETTING_NAMES.join(', ')}`)
  const found: [SettingName, unknown][] = []
  for (const name of SETTING_NAMES) {
    const given = value[name]
    if (given === undefined) continue
    const { allows, takes } = SETTINGS[name]
    if (!allows(given)) fail([...path, name], `is ${shown(given)}: it must be ${takes}`)
    found.push([name, given])
  }
  return Object.fromEntries(found) // by the checks of the table
}

function checkSize(document: PolicyDocument, fail: Fail): PolicyDocument {
  const bytes = Buffer.byteLength(JSON.stringify(document))
  return bytes <= MAX_DOCUMENT_BYTES ? document : fail([], `has ${bytes} bytes, more than ${MAX_DOCUMENT_BYTES}`)
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100)
}

/** What workers must read before the document may be in force. */
export function featuresOf({ streams = {}, ...settings }: PolicyDocument): readonly WorkerFeature[] {
  const said = [settings, ...Object.values(streams)].flatMap((one) => Object.entries(one))
  const needed = said.flatMap(([name, value]) => {
    if (!isSettingName(name)) return []
    const { feature, featureOf } = SETTINGS[name]
    return feature ?? featureOf?.[String(value)] ?? []
  })
  return [...new Set(needed)]
}

/** What tells the document from all others, whatever it is stored under; the empty text for one that says nothing. */
export function idOf(document: PolicyDocument): string {
  if (Object.keys(document).length === 0) return ''
  return createHash('sha256').update(JSON.stringify(document)).digest('hex').slice(0, ID_DIGITS)
}

/** Where the value of a setting comes from. */
export type Origin = 'stream' | 'tenant' | 'default' | 'built in'

/** The policy for a stream of a tenant: what is said of the stream, else of the tenant, else by default. */
export function resolve(
  stream: string | undefined,
  documents: { readonly tenant: PolicyDocument; readonly default: PolicyDocument },
): { readonly policy: Policy; readonly origins: Readonly<Record<SettingName, Origin>> } {
  const { streams = {} } = documents.tenant
  const ofStream = stream !== undefined && Object.hasOwn(streams, stream) ? (streams[stream] ?? {}) : {}
  const places: readonly (readonly [Origin, PolicySettings])[] = [
    ['stream', ofStream],
    ['tenant', documents.tenant],
    ['default', documents.default],
    ['built in', DEFAULT_POLICY],
  ]
  const found = SETTING_NAMES.map((name) => {
    const [origin, settings] = places.find(([, one]) => one[name] !== undefined) ?? ['built in', DEFAULT_POLICY]
    return { name, origin, value: settings[name] }
  })
  return {
    policy: Object.fromEntries(found.map(({ name, value }) => [name, value])) as Policy, // all of the names
    origins: Object.fromEntries(found.map(({ name, origin }) => [name, origin])) as Record<SettingName, Origin>,
  }
}
