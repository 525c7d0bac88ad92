import { expect, it } from 'vitest'
import { killInMidSessions } from './kill-in-mid-sessions.ts'

const seeds = Array.from({ length: 20 }, (_, index) => index + 1)

it.for(seeds)('what sessions were told is there after kill -9, five times: seed %i', async (seed) => {
  const { acknowledged, ...losses } = await killInMidSessions({ seed, kills: 5 })
  expect(losses).toEqual({ retained: [], queued: [], commands: [], sessions: 0 })
  expect(acknowledged).toBeGreaterThan(40)
})
