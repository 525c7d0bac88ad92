import { SluiceError } from '../errors.ts'
import { isName } from '../names.ts'
import { parseYamlFile, readYamlFiles, type YamlFiles } from '../yaml-files.ts'
import { readDocument, type PolicyDocument, type PolicyScope } from './document.ts'
import { pathOf, together, type Overlay } from './sources.ts'

/** Whom a file is for when it is for all tenants. */
const EVERYBODY = '*'
const INVALID = 'policy_invalid'

/** The files of the folder. Error: `policy_invalid`, naming what cannot be read. */
export function readPolicyFiles(folder: string): Promise<YamlFiles> {
  return readYamlFiles(folder, INVALID)
}

/**
 * What the files say together, for each tenant and for all of them. Error: `policy_invalid`, naming file and line of what
 * is no policy, and both places of what is said twice.
 */
export function overlaysOf(files: YamlFiles): ReadonlyMap<PolicyScope, Overlay> {
  const overlays = new Map<PolicyScope, Overlay>()
  for (const [name, text] of files) {
    const { scope, ...one } = parseFile(name, text)
    const before = overlays.get(scope)
    for (const [path, place] of Object.entries(one.places)) {
      const other = before?.places[path]
      if (other !== undefined) throw new SluiceError(INVALID, `${place}: ${path} is set by ${other}, too`)
    }
    const document = before === undefined ? one.document : together(before.document, one.document, scope)
    overlays.set(scope, { document, places: { ...before?.places, ...one.places } })
  }
  return overlays
}

function parseFile(name: string, text: string): Overlay & { readonly scope: PolicyScope } {
  const { value, placeOf } = parseYamlFile(name, text, INVALID)
  const { tenant, ...said } = value
  if (tenant !== EVERYBODY && !(typeof tenant === 'string' && isName(tenant))) {
    const problem = 'tenant must be the name of a tenant, or "*" for the default of all of them'
    throw new SluiceError(INVALID, `${placeOf(['tenant'])}: ${problem}`)
  }
  const scope = tenant === EVERYBODY ? undefined : tenant
  const document = readDocument(said, scope, (path) => `${placeOf(path)}: `)
  return { scope, document, places: placesOf(document, placeOf) }
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
