import { describe, expect, it } from 'vitest'
import { killInMidLoad } from './kill-in-mid-load.ts'

/** One seed in the gate; SLUICE_SEEDS=20 for the long run. */
const seeds = Array.from({ length: Number(process.env['SLUICE_SEEDS'] ?? 1) }, (_, index) => index + 1)

describe('an acknowledged reading survives kill -9 of the process', () => {
  it.for(seeds.flatMap((seed) => [1, 2].map((qos) => ({ seed, qos }))))(
    'seed $seed, QoS $qos',
    async ({ seed, qos }) => {
      const outcome = await killInMidLoad({ seed, qos })
      expect(outcome).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
      expect(outcome.acked).toBeGreaterThan(1_000)
      expect(outcome.kills).toBe(3)
    },
  )
})
