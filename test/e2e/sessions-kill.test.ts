import { expect, it } from 'vitest'
import { killInMidSessions } from './kill-in-mid-sessions.ts'

/** 20 seeds are in sessions-kill.faults.test.ts. */
it.for([1])('what sessions were told is there after kill -9: seed %i', async (seed) => {
  const { acknowledged, ...losses } = await killInMidSessions({ seed })
  expect(losses).toEqual({ retained: [], queued: [], commands: [], sessions: 0 })
  expect(acknowledged).toBeGreaterThan(40)
})

it('the load finds what a store loses that is not waited for', async () => {
  let lost = 0
  for (let seed = 1; seed <= 5 && lost === 0; seed += 1) {
    const losses = await killInMidSessions({ seed, entry: 'test/variants/early-sessions.ts', kills: 1 })
    lost = losses.retained.length + losses.queued.length + losses.commands.length
  }
  expect(lost).toBeGreaterThan(0)
})
