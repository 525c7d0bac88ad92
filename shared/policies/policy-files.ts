import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isMap, isScalar, LineCounter, parseDocument, type Document, type Node } from 'yaml'
import { SluiceError } from '../errors.ts'
import { isName } from '../names.ts'
import { compareText } from '../text-order.ts'
import { readDocument, type PolicyDocument, type PolicyScope } from './document.ts'
import { pathOf, together, type Overlay } from './sources.ts'

/** Whom a file is for when it is for all tenants. */
const EVERYBODY = '*'
const MAX_FILES = 1_000
/** More than the largest document takes, with comments. */
const MAX_FILE_BYTES = 256 * 1024

/** What a file holds, under its name in the folder. */
export type PolicyFiles = ReadonlyMap<string, string>

/**
 * The texts of the files `*.yaml` and `*.yml` of the folder, in the order of their names. Error: `policy_invalid`, naming
 * what cannot be read.
 */
export async function readPolicyFiles(folder: string): Promise<PolicyFiles> {
  const found = (await tryTo(folder, () => readdir(folder))).filter((name) => /^[^.].*\.ya?ml$/.test(name))
  if (found.length > MAX_FILES) throw invalid(`${folder} has ${found.length} files, more than ${MAX_FILES}`)
  const files = new Map<string, string>()
  for (const name of found.sort(compareText)) {
    const bytes = await tryTo(join(folder, name), () => readFile(join(folder, name)))
    if (bytes.byteLength > MAX_FILE_BYTES) {
      throw invalid(`${join(folder, name)} has ${bytes.byteLength} bytes, more than ${MAX_FILE_BYTES}`)
    }
    files.set(name, bytes.toString('utf8'))
  }
  return files
}

/**
 * What the files say together, for each tenant and for all of them. Error: `policy_invalid`, naming file and line of what
 * is no policy, and both places of what is said twice.
 */
export function overlaysOf(files: PolicyFiles): ReadonlyMap<PolicyScope, Overlay> {
  const overlays = new Map<PolicyScope, Overlay>()
  for (const [name, text] of files) {
    const { scope, ...one } = parseFile(name, text)
    const before = overlays.get(scope)
    for (const [path, place] of Object.entries(one.places)) {
      const other = before?.places[path]
      if (other !== undefined) throw invalid(`${place}: ${path} is set by ${other}, too`)
    }
    const document = before === undefined ? one.document : together(before.document, one.document, scope)
    overlays.set(scope, { document, places: { ...before?.places, ...one.places } })
  }
  return overlays
}

function parseFile(name: string, text: string): Overlay & { readonly scope: PolicyScope } {
  const lines = new LineCounter()
  const yaml = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2' })
  const placeOf = (offset: number): string => `${name}:${lines.linePos(offset).line}`
  const [error] = [...yaml.errors, ...yaml.warnings]
  if (error !== undefined) throw invalid(`${placeOf(error.pos[0])}: ${error.message}`)
  const place = (path: readonly string[]): string => placeOf(offsetOf(yaml, path))
  const value = valueOf(yaml, name)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${placeOf(0)}: the file is not a mapping of settings`)
  }
  const { tenant, ...said } = value as Readonly<Record<string, unknown>>
  if (tenant !== EVERYBODY && !(typeof tenant === 'string' && isName(tenant))) {
    throw invalid(`${place(['tenant'])}: tenant must be the name of a tenant, or "*" for the default of all of them`)
  }
  const scope = tenant === EVERYBODY ? undefined : tenant
  const document = readDocument(said, scope, (path) => `${place(path)}: `)
  return { scope, document, places: placesOf(document, place) }
}

function valueOf(yaml: Document.Parsed, name: string): unknown {
  try {
    return yaml.toJS({ maxAliasCount: 100 })
  } catch (error) {
    // Aliases without end.
    throw invalid(`${name}:1: ${error instanceof Error ? error.message : String(error)}`, error)
  }
}

function placesOf(
  { streams = {}, ...own }: PolicyDocument,
  place: (path: readonly string[]) => string,
): Record<string, string> {
  const ofStreams = Object.entries(streams).flatMap(([stream, settings]) =>
    Object.keys(settings).map((name) => [pathOf(name, stream), place(['streams', stream, name])] as const),
  )
  return Object.fromEntries([...Object.keys(own).map((name) => [pathOf(name), place([name])] as const), ...ofStreams])
}

/** Where the key of the path begins, or the last one above it that is there. Keys may be written as numbers. */
function offsetOf(yaml: Document.Parsed, path: readonly string[]): number {
  let offset = 0
  let at: unknown = yaml.contents
  for (const key of path) {
    const pair = isMap<Node, Node>(at)
      ? at.items.find((one) => isScalar(one.key) && String(one.key.value) === key)
      : undefined
    if (pair === undefined) break
    offset = pair.key.range?.[0] ?? offset
    at = pair.value
  }
  return offset
}

async function tryTo<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw invalid(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, error)
  }
}

function invalid(message: string, cause?: unknown): SluiceError {
  return new SluiceError('policy_invalid', message, { cause })
}
