import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isMap, isScalar, LineCounter, parseDocument, type Document, type Node } from 'yaml'
import { SluiceError, type ErrorCode } from './errors.ts'
import { compareText } from './text-order.ts'

const MAX_FILES = 1_000
/** More than the largest document takes, with comments. */
const MAX_FILE_BYTES = 256 * 1024

/** What a file holds, under its name in the folder. */
export type YamlFiles = ReadonlyMap<string, string>

/** The value that a file holds, and where the keys on the way to a part of it stand. */
export interface YamlFile {
  readonly value: Readonly<Record<string, unknown>>
  /** Name and line of the key of the path, or of the last one above it that is there, such as `demo.yaml:3`. */
  readonly placeOf: (path: readonly string[]) => string
}

/**
 * The texts of the files `*.yaml` and `*.yml` of the folder, in the order of their names. Error: that of the code, naming
 * what cannot be read.
 */
export async function readYamlFiles(folder: string, code: ErrorCode): Promise<YamlFiles> {
  const names = await tryTo(folder, code, () => readdir(folder))
  const found = names.filter((name) => /^[^.].*\.ya?ml$/.test(name))
  if (found.length > MAX_FILES) {
    throw new SluiceError(code, `${folder} has ${found.length} files, more than ${MAX_FILES}`)
  }
  const files = new Map<string, string>()
  for (const name of found.sort(compareText)) {
    const bytes = await tryTo(join(folder, name), code, () => readFile(join(folder, name)))
    if (bytes.byteLength > MAX_FILE_BYTES) {
      throw new SluiceError(code, `${join(folder, name)} has ${bytes.byteLength} bytes, more than ${MAX_FILE_BYTES}`)
    }
    files.set(name, bytes.toString('utf8'))
  }
  return files
}

/** Error: that of the code, naming file and line of what is no mapping in YAML. */
export function parseYamlFile(name: string, text: string, code: ErrorCode): YamlFile {
  const lines = new LineCounter()
  const yaml = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2' })
  const place = (offset: number): string => `${name}:${lines.linePos(offset).line}`
  const [error] = [...yaml.errors, ...yaml.warnings]
  if (error !== undefined) throw new SluiceError(code, `${place(error.pos[0])}: ${error.message}`)
  const value = valueOf(yaml, name, code)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SluiceError(code, `${place(0)}: the file is not a mapping of settings`)
  }
  return { value: value as Readonly<Record<string, unknown>>, placeOf: (path) => place(offsetOf(yaml, path)) }
}

function valueOf(yaml: Document.Parsed, name: string, code: ErrorCode): unknown {
  try {
    return yaml.toJS({ maxAliasCount: 100 })
  } catch (error) {
    // Aliases without end.
    throw new SluiceError(code, `${name}:1: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
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

async function tryTo<T>(path: string, code: ErrorCode, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new SluiceError(code, `${path} cannot be read: ${why}`, { cause: error })
  }
}
