import { loadavg } from 'node:os'
import { report } from '../cluster/results.ts'
import { randomFrom } from '../kill-in-mid-load.ts'
import { failedSyncs, lookAfter, record, STORES, syncsOf, type Cut, type Recording } from './power-cut.ts'

/** A few hundred syncs. */
const ROUNDS = 12
/** Every so many seeds the syncs of the start may fail, too. */
const AT_START = 5

let undisturbed: Promise<Recording> | undefined

/** A recording in which nothing failed; made once. */
export function plainRecording(): Promise<Recording> {
  undisturbed ??= record({ rounds: ROUNDS })
  return undisturbed
}

/** Syncs of one store in turn fail, one to three in a row, wherever the seed says. */
export async function recordSeed(seed: number): Promise<Recording> {
  const random = randomFrom(seed)
  const plain = await plainRecording()
  const stores = STORES.filter((store) => syncsOf(plain, store).all > 0)
  const store = stores[seed % stores.length] ?? 'log/'
  const { before, all } = syncsOf(plain, store)
  const least = seed % AT_START === 0 ? 0 : before
  const from = least + 1 + Math.floor(random() * (all - least))
  const failing = { store, from, to: from + (Math.floor(seed / stores.length) % 3) }
  return record({ rounds: ROUNDS, failing })
}

export interface CutsPlan {
  readonly name: string
  readonly seed: number
  readonly recording: Recording
  readonly cuts: readonly Cut[]
}

/** Cuts the power at each of these moments of a recording; everything that was not as it should be. */
export async function problemsAfter({ name, seed, recording, cuts }: CutsPlan, isVariant = false): Promise<string[]> {
  const failed = [...new Set(failedSyncs(recording))].join(', ') || 'nothing'
  const sum = { acked: 0, lost: 0, wrong: 0, recoverySeconds: 0 }
  const problems: string[] = []
  for (const cut of cuts) {
    const { acknowledged, startSeconds, missing, wrong, refused } = await lookAfter(recording, cut)
    sum.acked += acknowledged
    sum.lost += missing.length
    sum.wrong += wrong.length + refused.length
    sum.recoverySeconds = Math.max(sum.recoverySeconds, startSeconds)
    const all = [...missing.map((what) => `missing: ${what}`), ...wrong.map((what) => `wrong: ${what}`), ...refused]
    problems.push(...all.map((what) => `cut at ${cut.at}, failed syncs of ${failed}: ${what}`))
  }
  // A process that gives up says why, with a code that is no defect of ours.
  const unexplained = recording.ended.filter((code) => code === '' || code === 'internal')
  problems.push(...unexplained.map((code) => `failed syncs of ${failed}: ended with "${code}"`))
  report({ scenario: name, seed, duplicated: 0, ...sum, isVariant, load: loadavg()[0] ?? 0 })
  return problems
}
