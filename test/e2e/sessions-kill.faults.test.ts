import { loadavg } from 'node:os'
import { expect, it } from 'vitest'
import { report } from './cluster/results.ts'
import { killInMidSessions } from './kill-in-mid-sessions.ts'
import { seeds } from './losses/seeds.ts'

const KILLS = 5

it.for(seeds())('what sessions were told is there after kill -9, five times: seed %i', async (seed) => {
  const { acknowledged, ...losses } = await killInMidSessions({ seed, kills: KILLS })
  const { retained, queued, commands, sessions } = losses
  const lost = retained.length + queued.length + commands.length + sessions
  const counts = { acked: acknowledged, lost, duplicated: 0, wrong: 0, recoverySeconds: 0 }
  report({ scenario: 'sessions and kill -9', seed, ...counts, isVariant: false, load: loadavg()[0] ?? 0 })
  expect(losses).toEqual({ retained: [], queued: [], commands: [], sessions: 0 })
  expect(acknowledged).toBeGreaterThan(40)
})
