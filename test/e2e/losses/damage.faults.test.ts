import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { randomFrom } from '../kill-in-mid-load.ts'
import { HOWS, outcomeOf } from './damage.ts'
import { problemsOf, unknownFiles, useFilledFolder } from './damage-seeds.ts'
import { seeds } from './seeds.ts'

const TIMEOUT = 1_800_000

describe('damage to any file of a data folder is told, by a start that names it or as a gap', () => {
  const filled = useFilledFolder()

  it('knows every kind of file', () => {
    expect(unknownFiles(filled())).toEqual([])
  })

  it.for(seeds())('a flipped bit: seed %i', { timeout: TIMEOUT }, async (seed) => {
    expect(await problemsOf(filled(), seed, 'flip')).toEqual([])
  })

  // Nothing of them is left to chance.
  const others = HOWS.filter((how) => how !== 'flip')
  it.runIf(seeds().includes(1)).for(others)('%s', { timeout: TIMEOUT }, async (how) => {
    expect(await problemsOf(filled(), 1, how)).toEqual([])
  })

  // Last: the folder is not whole any more.
  it.runIf(seeds().includes(1))('sees a registry without checksums', { timeout: TIMEOUT }, async () => {
    rmSync(join(filled().folder, 'registry.db-sums'))
    const random = randomFrom(1)
    const problems: string[] = []
    for (let i = 0; problems.length === 0 && i < 100; i++) {
      problems.push(...(await outcomeOf(filled(), { path: 'registry.db', how: 'flip', random })).problems)
    }
    expect(problems.length).toBeGreaterThan(0)
  })
})
