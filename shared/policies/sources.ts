import { isDeepStrictEqual } from 'node:util'
import { SluiceError } from '../errors.ts'
import { afterPeople } from '../layers.ts'
import { readDocument, type PolicyDocument, type PolicyScope } from './document.ts'

/** What files say for a scope, and where each setting stands: by its path, such as `streams.door.time_zone`, `demo.yaml:3`. */
export interface Overlay {
  readonly document: PolicyDocument
  readonly places: Readonly<Record<string, string>>
}

/** What a document in force was put together from. Paths as in {@link Overlay}. */
export interface PolicySources {
  /** What people set, also what files lie over now. */
  readonly set: PolicyDocument
  /** Where the settings stand that are of files. */
  readonly files: Readonly<Record<string, string>>
  /** Who set the others, as far as it is known. */
  readonly by: Readonly<Record<string, string>>
}

/** A document, and what it was put together from; undefined: by people alone, from before it was noted who set what. */
export interface Layered {
  readonly document: PolicyDocument
  readonly sources: PolicySources | undefined
}

/** The place of a setting in a document. */
export function pathOf(setting: string, stream?: string): string {
  return stream === undefined ? setting : `streams.${stream}.${setting}`
}

/**
 * What is in force when somebody sets this document. What files say stays as it is. Error: `policy_in_file` where the document
 * says otherwise.
 */
export function afterSet(
  before: Layered | undefined,
  document: PolicyDocument,
  scope: PolicyScope,
  who: string,
): Layered {
  const { set, files, by } = sourcesOf(before)
  const layers = { inForce: settingsOf(before?.document ?? {}), set: settingsOf(set), files, by }
  const refuse = (path: string, place: string) => new SluiceError('policy_in_file', `${path} is set by ${place}`)
  const people = afterPeople(layers, settingsOf(document), who, refuse)
  return {
    document: readDocument(document, scope),
    sources: { set: documentOf([...people.set], scope), files, by: people.by },
  }
}

/**
 * What is in force when files say this: it lies over what people set, which comes back where files say nothing any more.
 * Undefined where nothing changes. Error: `policy_invalid` when both together are too large.
 */
export function afterFiles(before: Layered | undefined, overlay: Overlay, scope: PolicyScope): Layered | undefined {
  const { set, files, by } = sourcesOf(before)
  const document = together(set, overlay.document, scope)
  const isSame = isDeepStrictEqual(overlay.places, files) && isDeepStrictEqual(document, before?.document ?? {})
  return isSame ? undefined : { document, sources: { set, files: overlay.places, by } }
}

function sourcesOf(before: Layered | undefined): PolicySources {
  return before?.sources ?? { set: before?.document ?? {}, files: {}, by: {} }
}

/** What both say; what both say otherwise is as `over` says. Error: `policy_invalid`, too large. */
export function together(below: PolicyDocument, over: PolicyDocument, scope: PolicyScope): PolicyDocument {
  return documentOf([...settingsOf(below), ...settingsOf(over)], scope)
}

function settingsOf({ streams = {}, ...own }: PolicyDocument): ReadonlyMap<string, unknown> {
  const ofStreams = Object.entries(streams).flatMap(([stream, one]) =>
    Object.entries(one).map(([name, value]) => [pathOf(name, stream), value] as const),
  )
  return new Map([...Object.entries(own), ...ofStreams])
}

/** Of two of one path the later. Names of settings have no dot, those of streams may. */
function documentOf(settings: readonly (readonly [string, unknown])[], scope: PolicyScope): PolicyDocument {
  const own = new Map<string, unknown>()
  const streams = new Map<string, Map<string, unknown>>()
  for (const [path, value] of settings) {
    const [, stream, name = path] = /^streams\.(.*)\.([^.]*)$/s.exec(path) ?? []
    if (stream === undefined) own.set(name, value)
    else streams.set(stream, (streams.get(stream) ?? new Map<string, unknown>()).set(name, value))
  }
  const parts = [...streams].map(([stream, one]) => [stream, Object.fromEntries(one)] as const)
  const read = { ...Object.fromEntries(own), ...(parts.length === 0 ? {} : { streams: Object.fromEntries(parts) }) }
  return readDocument(read, scope)
}
