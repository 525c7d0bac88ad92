import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { randomFrom } from '../kill-in-mid-load.ts'
import { record, type Cut } from './power-cut.ts'
import { plainRecording, problemsAfter, recordSeed } from './power-cut-seeds.ts'
import { seeds } from './seeds.ts'

const TIMEOUT = 1_200_000

/** Right behind the trouble, some time after it, and at the end; what was not synced is gone, or torn at random. */
function cutsOf(seed: number): Cut[] {
  const random = randomFrom(seed)
  const moments = [random() / 8, random() / 2, random(), 1]
  return moments.map((at, i) => ({ at, unsynced: i % 2 === 0 ? 'dropped' : { random } }))
}

describe('what a server acknowledged is there after a power cut', () => {
  it.for(seeds())('when nothing had failed: seed %i', { timeout: TIMEOUT }, async (seed) => {
    const plan = { name: 'power cut', seed, recording: await plainRecording(), cuts: cutsOf(seed) }
    expect(await problemsAfter(plan)).toEqual([])
  })

  it.for(seeds())('when syncs had failed: seed %i', { timeout: TIMEOUT }, async (seed) => {
    const recording = await recordSeed(seed)
    const plan = { name: 'power cut after failed syncs', seed, recording, cuts: cutsOf(seed) }
    expect(await problemsAfter(plan)).toEqual([])
  })
})

const variant = (name: string): string => join(import.meta.dirname, `../../variants/${name}.ts`)

describe.runIf(seeds().includes(1))('the same load shows known-wrong servers', () => {
  it('that do not sync', { timeout: TIMEOUT }, async () => {
    const recording = await record({ rounds: 3, preload: variant('no-fsync') })
    const plan = { name: 'no-fsync', seed: 1, recording, cuts: [{ at: 1, unsynced: 'dropped' }] as const }
    expect((await problemsAfter(plan, true)).length).toBeGreaterThan(0)
  })

  it('whose points trust a file after a sync of it failed', { timeout: TIMEOUT }, async () => {
    const problems: string[] = []
    for (let seed = 1; problems.length === 0 && seed <= 20; seed += 1) {
      const recording = await recordSeed(seed, variant('trusting-points'))
      const plan = { name: 'trusting-points', seed, recording, cuts: cutsOf(seed) }
      problems.push(...(await problemsAfter(plan, true)))
    }
    expect(problems.length).toBeGreaterThan(0)
  })
})
