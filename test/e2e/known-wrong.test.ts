import { describe, expect, it } from 'vitest'
import { killInMidLoad } from './kill-in-mid-load.ts'

describe('the load of ack-means-durable finds the loss of known-wrong variants', () => {
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
    // One kill is enough, almost always.
    for (let seed = 1; seed <= 5 && lost === 0; seed += 1) {
      lost = (await killInMidLoad({ seed, qos: 1, entry, kills: 1 })).lost
    }
    expect(lost).toBeGreaterThan(0)
  })
})
