import type { Difference } from '../../../load-tests/upgrade/answers.ts'

/** What is answered otherwise than by the version before, because it was changed: see CHANGELOG.md. */
const ON_PURPOSE: readonly { readonly path: RegExp; readonly at: RegExp; readonly why: string }[] = [
  {
    path: /&aggregate=(first|last|min|max)$/,
    at: /^series\.\*\.points\.\*\.\*$/,
    why: 'an aggregate of a whole range has the time of the reading that it names, not that of the first one',
  },
  {
    path: /^\/v1\/dead-letters\?/,
    at: /^deadLetters\.\*\.(id|source\.element)$/,
    why: 'a letter names the log that its record is in; the element is that of a fault',
  },
  {
    path: /^\/v1\/devices\//,
    at: /^presence\.(sessions\.\*\.)?since$|^(presence\.sessions\.\*\.)?lastHeard$/,
    why: 'connections of a process that was killed end when the next one starts, and when they were last heard is not known',
  },
  {
    path: /^\/v1\/dead-letters\?/,
    at: /^deadLetters\.\*\.fix$/,
    why: 'advice is that of the version which runs: a type conflict is one of declared fields only',
  },
]

/** Of the differences those that nobody wanted, as text. */
export function unwanted(found: readonly Difference[]): string[] {
  return found
    .filter((it) => !isOnPurpose(it))
    .map(({ path, at, before, now }) => `${path} ${at}: ${shown(before)} is now ${shown(now)}`)
}

const isOnPurpose = ({ path, at }: Difference): boolean =>
  !path.includes('interval=') && ON_PURPOSE.some((known) => known.path.test(path) && known.at.test(at))

const shown = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 200)
