import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { report } from '../cluster/results.ts'
import { randomFrom } from '../kill-in-mid-load.ts'
import { HOWS, kindOf, outcomeOf, UNTOLD, type How } from './damage.ts'
import { filesOf, fillFolder, type FilledFolder } from './folder.ts'

/** A data folder for all tests of a file, which goes behind the last. */
export function useFilledFolder(): () => FilledFolder {
  let filled: FilledFolder | undefined
  const parent = mkdtempSync(join(tmpdir(), 'sluice-damage-'))
  beforeAll(async () => {
    filled = await fillFolder(parent)
  }, 300_000)
  afterAll(() => rmSync(parent, { recursive: true, force: true }))
  return () => {
    if (filled === undefined) throw new Error('the folder is not filled')
    return filled
  }
}

/** Files of which nobody has said what they are. */
export function unknownFiles({ folder }: FilledFolder): string[] {
  return filesOf(folder).filter((path) => kindOf(path) === undefined)
}

/** Damages every file in this way, one at a time; `all`: each in a way of its own. What was not told as it should have been. */
export async function problemsOf(filled: FilledFolder, seed: number, way: How | 'all'): Promise<string[]> {
  const random = randomFrom(seed)
  const problems: string[] = []
  const sums = { told: { lost: 0, wrong: 0, seconds: 0 }, untold: { lost: 0, wrong: 0, seconds: 0 } }
  for (const [index, path] of filesOf(filled.folder).entries()) {
    const how = way === 'all' ? (HOWS[(index + seed) % HOWS.length] ?? 'flip') : way
    const began = performance.now()
    const isUntold = UNTOLD[kindOf(path) ?? 'stamps']?.[how] !== undefined
    // Shown once, where every way is tried.
    if (isUntold && (way === 'all' || seed > 1)) continue
    const outcome = await outcomeOf(filled, { path, how, random })
    if (!isUntold) problems.push(...outcome.problems)
    const sum = isUntold ? sums.untold : sums.told
    sum.lost += outcome.lost - outcome.gaps
    sum.wrong += outcome.problems.length
    sum.seconds = Math.max(sum.seconds, (performance.now() - began) / 1000)
  }
  for (const [kind, { lost, wrong, seconds }] of Object.entries(sums)) {
    const scenario = kind === 'told' ? `damage: ${way}` : `damage that is not told: ${way}`
    const counts = { acked: filled.acknowledged.length, lost, wrong, duplicated: 0, recoverySeconds: seconds }
    report({ scenario, seed, ...counts, isVariant: kind === 'untold', load: loadavg()[0] ?? 0 })
  }
  return problems
}
