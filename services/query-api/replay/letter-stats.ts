import { faultsOf } from '../../../shared/dead-letter.ts'
import type { LetterState } from '../../../shared/registry/letters-port.ts'
import { compareText } from '../../../shared/text-order.ts'
import { shownWho } from '../letter-view.ts'
import type { LetterFilter } from '../letters.ts'
import { newestNoted, type LetterSources } from './noted-letters.ts'

/** Devices, logins and addresses that are named: those with the most letters. */
const MAX_WHO = 100

export interface LetterStats {
  readonly letters: number
  /** Those with the most letters first. A letter with several codes counts for each. */
  readonly codes: readonly { readonly code: string; readonly letters: number; readonly faults: number }[]
  readonly who: readonly { readonly who: string; readonly letters: number }[]
  /** What was done about them; `open`: nothing. */
  readonly states: Readonly<Record<LetterState | 'open', number>>
  /** When the first and the last of them failed, in ms; undefined where there are none. */
  readonly firstMs: number | undefined
  readonly lastMs: number | undefined
  /** False where there are more than one answer is made of: it is of some of the newest then. */
  readonly complete: boolean
}

/** Counts letters by cause and device, each once. */
export async function letterStats(
  sources: LetterSources,
  filter: LetterFilter,
  signal: AbortSignal,
): Promise<LetterStats> {
  const { names } = sources.registry
  const codes = new Map<string, { letters: number; faults: number }>()
  const who = new Map<string, number>()
  const states = { open: 0, replayed: 0, faulty: 0, discarded: 0 }
  const seen = new Set<string>()
  let [firstMs, lastMs] = [Infinity, -Infinity]
  let complete = true
  for await (const { letters, isLast } of newestNoted(sources, filter, signal)) {
    complete = isLast
    for (const { id, letter, note } of letters) {
      if (seen.has(id)) continue
      seen.add(id)
      states[note?.state ?? 'open'] += 1
      firstMs = Math.min(firstMs, letter.firstFailedMs)
      lastMs = Math.max(lastMs, letter.firstFailedMs)
      const name = shownWho(letter, names)
      who.set(name, (who.get(name) ?? 0) + 1)
      for (const [code, faults] of faultsOf(letter).counts) {
        const known = codes.get(code) ?? { letters: 0, faults: 0 }
        codes.set(code, { letters: known.letters + 1, faults: known.faults + faults })
      }
    }
  }
  return {
    ...{ letters: seen.size, states, complete },
    codes: mostFirst(
      Array.from(codes, ([code, counts]) => ({ code, ...counts })),
      ({ code }) => code,
    ),
    who: mostFirst(
      Array.from(who, ([name, letters]) => ({ who: name, letters })),
      (one) => one.who,
    ).slice(0, MAX_WHO),
    ...(seen.size === 0 ? { firstMs: undefined, lastMs: undefined } : { firstMs, lastMs }),
  }
}

function mostFirst<T extends { readonly letters: number }>(all: readonly T[], nameOf: (one: T) => string): T[] {
  return all.toSorted((a, b) => b.letters - a.letters || compareText(nameOf(a), nameOf(b)))
}
