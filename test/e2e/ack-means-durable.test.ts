import { describe, expect, it } from 'vitest'
import { killInMidLoad } from './kill-in-mid-load.ts'

/** 3 seeds in the gate; SLUICE_SEEDS=20 for the long run. */
const seeds = Array.from({ length: Number(process.env['SLUICE_SEEDS'] ?? 3) }, (_, index) => index + 1)

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

describe('the same load finds the loss of known-wrong variants', () => {
  it.for([
    { variant: 'ack-before-append', why: 'the acknowledgement goes out before the record is in the log' },
    { variant: 'commit-before-write', why: 'offsets are committed before the points are stored' },
    {
      variant: 'append-in-published-hook',
      why: 'the append is moved to the hook that runs behind the acknowledgement',
    },
  ])('$variant: $why', async ({ variant }) => {
    const entry = `test/variants/${variant}.ts`
    let lost = 0
    for (let seed = 1; seed <= 5 && lost === 0; seed += 1) {
      lost = (await killInMidLoad({ seed, qos: 1, entry })).lost
    }
    expect(lost).toBeGreaterThan(0)
  })
})
