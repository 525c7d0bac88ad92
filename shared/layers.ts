import { isDeepStrictEqual } from 'node:util'
import type { SluiceError } from './errors.ts'

/** Settings by their path, and what they were put together from: what people set, and what files say over it. */
export interface Layers {
  readonly inForce: ReadonlyMap<string, unknown>
  /** What people set, also what files lie over now. */
  readonly set: ReadonlyMap<string, unknown>
  /** Where the settings stand that are of files, such as `demo.yaml:3`. */
  readonly files: Readonly<Record<string, string>>
  /** Who set the others, as far as it is known. */
  readonly by: Readonly<Record<string, string>>
}

/**
 * What people have set when somebody wants this to be in force. What files say stays as it is: `refuse` makes the error of a
 * setting that is to be otherwise.
 */
export function afterPeople(
  { inForce, set, files, by }: Layers,
  wanted: ReadonlyMap<string, unknown>,
  who: string,
  refuse: (path: string, place: string) => SluiceError,
): Pick<Layers, 'set' | 'by'> {
  for (const [path, place] of Object.entries(files)) {
    if (!isDeepStrictEqual(wanted.get(path), inForce.get(path))) throw refuse(path, place)
  }
  const isOfFile = (path: string): boolean => Object.hasOwn(files, path)
  const kept = [...set].filter(([path]) => isOfFile(path))
  const own = [...wanted].filter(([path]) => !isOfFile(path))
  const setters = [...kept, ...own].flatMap(([path, value]) => {
    const isOld = set.has(path) && isDeepStrictEqual(set.get(path), value)
    const setter = isOld ? by[path] : who
    return setter === undefined ? [] : [[path, setter] as const]
  })
  return { set: new Map([...kept, ...own]), by: Object.fromEntries(setters) }
}
