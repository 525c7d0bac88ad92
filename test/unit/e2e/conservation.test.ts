import { describe, expect, it } from 'vitest'
import { imbalance, type Flow } from '../../e2e/cluster/conservation.ts'

const NOTHING: Flow = {
  ...{ received: 0, acked: 0, refused: 0, abandoned: 0, inFlight: 0, appended: 0, decoded: 0, readings: 0 },
  ...{ faults: 0, nulls: 0, revoked: 0, points: 0, written: 0, end: 0, committed: 0, counters: '1 2 3' },
}
/** 100 messages of two fields, of which one was sent again, one field was refused, three were null, and two points were given up with their partition. */
const BALANCED: Flow = {
  ...{ received: 102, acked: 100, refused: 1, abandoned: 1, inFlight: 0, appended: 100, decoded: 100, readings: 100 },
  ...{ faults: 1, nulls: 3, revoked: 2, points: 194, written: 194, end: 100, committed: 100, counters: '1 2 3' },
}
const EXPECTED = { acked: 99, fieldsPerReading: 2, isLogDisturbed: false }
const COUNTS = Object.keys(BALANCED).filter((key) => key !== 'counters') as Exclude<keyof Flow, 'counters'>[]

describe('the stages of a run', () => {
  it('agree', () => {
    expect(imbalance(NOTHING, BALANCED, EXPECTED)).toEqual([])
  })

  it.each(COUNTS)('are seen to differ by one in %s', (key) => {
    for (const difference of [-1, 1]) {
      const wrong = { ...BALANCED, [key]: BALANCED[key] + difference }
      expect(imbalance(NOTHING, wrong, EXPECTED)).not.toEqual([])
    }
  })

  it('are what Kafka says when the counters went with a process', () => {
    const restarted = { ...BALANCED, received: 0, acked: 0, refused: 0, abandoned: 0, decoded: 7, counters: '1 2 4' }
    expect(imbalance(NOTHING, restarted, EXPECTED)).toEqual([])
    expect(imbalance(NOTHING, { ...restarted, committed: 99 }, EXPECTED)).not.toEqual([])
    expect(imbalance(NOTHING, { ...restarted, end: 98, committed: 98 }, EXPECTED)).not.toEqual([])
  })

  it('may have records twice when Kafka failed, and never too few', () => {
    const disturbed = { ...EXPECTED, isLogDisturbed: true }
    const twice = { ...BALANCED, end: 104, committed: 104, decoded: 110, readings: 110, points: 214, written: 214 }
    expect(imbalance(NOTHING, twice, disturbed)).toEqual([])
    expect(imbalance(NOTHING, twice, EXPECTED)).not.toEqual([])
    expect(
      imbalance(NOTHING, { ...twice, decoded: 103, readings: 103, points: 200, written: 200 }, disturbed),
    ).not.toEqual([])
  })
})
