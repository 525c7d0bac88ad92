import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { randomFrom } from '../kill-in-mid-load.ts'
import type { Cut } from './power-cut.ts'
import { plainRecording, problemsAfter, recordSeed } from './power-cut-seeds.ts'

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
const canCompile = spawnSync('cc', ['--version']).status === 0

// 20 seeds of each, with more cuts: `npm run test:faults -- --only "power cut"`.
describe.skipIf(!canTrace || !canCompile)(
  'what a server acknowledged is there after a power cut (needs apt-get install strace gcc)',
  () => {
    it('when nothing had failed', async () => {
      const cuts: Cut[] = [{ at: 0.8, unsynced: { random: randomFrom(1) } }]
      const recording = await plainRecording()
      expect(await problemsAfter({ name: 'power cut', seed: 1, recording, cuts })).toEqual([])
    })

    it.for([1, 2, 3])('when syncs had failed: seed %i', async (seed) => {
      const cuts: Cut[] = [{ at: 1, unsynced: 'dropped' }]
      const recording = await recordSeed(seed)
      const plan = { name: 'power cut after failed syncs', seed, recording, cuts }
      expect(await problemsAfter(plan)).toEqual([])
    })
  },
)
