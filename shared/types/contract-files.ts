import { SluiceError } from '../errors.ts'
import { isDeviceName, isFieldName, isName } from '../names.ts'
import type { FieldContract } from '../registry/types-port.ts'
import { fieldKey } from '../topics.ts'
import { parseYamlFile, readYamlFiles, type YamlFile, type YamlFiles } from '../yaml-files.ts'
import { readMeaning } from './meaning.ts'

const INVALID = 'contract_invalid'
/** Of all files together: each takes memory in every process. */
const MAX_FIELDS = 5_000

/** The files of the folder. Error: `contract_invalid`, naming what cannot be read. */
export function readContractFiles(folder: string): Promise<YamlFiles> {
  return readYamlFiles(folder, INVALID)
}

/**
 * What the files say together, field by field: one file may say the unit and another the range. Error:
 * `contract_invalid`, naming file and line of what cannot be declared, and both places of what is said twice.
 */
export function contractsOf(files: YamlFiles): readonly FieldContract[] {
  const contracts = new Map<string, FieldContract>()
  for (const [name, text] of files) {
    for (const one of fieldsOf(parseYamlFile(name, text, INVALID))) {
      const before = contracts.get(fieldKey(one))
      contracts.set(fieldKey(one), before === undefined ? one : together(before, one))
      if (contracts.size > MAX_FIELDS) throw new SluiceError(INVALID, `${name}: more than ${MAX_FIELDS} fields in all`)
    }
  }
  return [...contracts.values()]
}

function* fieldsOf({ value, placeOf }: YamlFile): Generator<FieldContract> {
  const fail = (path: readonly string[], problem: string): never => {
    throw new SluiceError(INVALID, `${placeOf(path)}: ${path.join('.')} ${problem}`)
  }
  const { tenant, streams, ...others } = value
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) fail([unknown], 'is not part of a contract; there are tenant and streams')
  if (typeof tenant !== 'string' || !isName(tenant)) return fail(['tenant'], 'must be the name of a tenant')
  for (const [stream, fields] of entriesOf(streams, ['streams'], fail)) {
    if (!isDeviceName(stream)) fail(['streams', stream], 'is not the name of a stream')
    for (const [field, said] of entriesOf(fields, ['streams', stream], fail)) {
      const path = ['streams', stream, field]
      if (!isFieldName(field)) fail(path, 'is not the name of a field')
      const meaning = readMeaning(said, (name, problem) => fail(name === undefined ? path : [...path, name], problem))
      const places = Object.fromEntries(Object.keys(meaning).map((name) => [name, placeOf([...path, name])] as const))
      yield { tenant, stream, field, meaning, places }
    }
  }
}

function entriesOf(
  value: unknown,
  path: readonly string[],
  fail: (path: readonly string[], problem: string) => never,
): readonly (readonly [string, unknown])[] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.entries(value)
  return fail(path, 'must be a mapping')
}

function together(before: FieldContract, one: FieldContract): FieldContract {
  for (const [name, place] of Object.entries(one.places)) {
    const other = before.places[name]
    if (other === undefined) continue
    throw new SluiceError(INVALID, `${place}: ${name} of ${one.field} is set by ${other}, too`)
  }
  const places = { ...before.places, ...one.places }
  const meaning = readMeaning({ ...before.meaning, ...one.meaning }, (name = '', problem) => {
    throw new SluiceError(INVALID, `${places[name] ?? ''}: ${name} of ${one.field} ${problem}`)
  })
  return { ...one, meaning, places }
}
