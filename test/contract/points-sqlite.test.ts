import { describe, expect, it } from 'vitest'
import type { PointStore } from '../../shared/points/port.ts'
import { foldingPoints, keepingPoints, millisecondPoints, separatePoints } from '../variants/wrong-points.ts'
import { describePointStore } from './points-contract.ts'
import { openStore } from './points-harness.ts'
import { checkJoined, describeJoined } from './points-joined-contract.ts'
import { describePointModel } from './points-model-contract.ts'
import { describeRandomScans } from './points-scan-random-contract.ts'
import { makeEmbedded } from './points-sqlite-harness.ts'
import { checkLaterWriteWins, checkNamesStayApart, checkNanosecondsMatter } from './points-write-contract.ts'

describePointStore('embedded points, as written', () => makeEmbedded({}))
describePointStore('embedded points, sealed at once', () => makeEmbedded({ sealAfterPoints: 1 }))
describePointModel('embedded points, sealed now and then', () => makeEmbedded({ sealAfterPoints: 50 }))
describeRandomScans('embedded points, sealed now and then', () => makeEmbedded({ sealAfterPoints: 50 }))
describeJoined('embedded points, sealed now and then', () => makeEmbedded({ sealAfterPoints: 50 }), 60)

/** Three of a minute, of which the last two are of one time. */
function checkMixed(store: PointStore): Promise<void> {
  const points = [
    { type: 'float', ms: 1_700_000_000_000, ns: 0, value: 0.25 },
    { type: 'integer', ms: 1_700_000_001_000, ns: 0, value: 2 },
    { type: 'float', ms: 1_700_000_001_000, ns: 0, value: 0.75 },
  ] as const
  return checkJoined(store, () => Promise.resolve(), 'pump-1', [[points], 10, 60_000])
}

describe('a wrong point store is seen', () => {
  it.for([
    { what: 'folds the case of names', wrong: foldingPoints, check: checkNamesStayApart },
    { what: 'keeps the first value of a point', wrong: keepingPoints, check: checkLaterWriteWins },
    { what: 'answers floats and integers of a field apart', wrong: separatePoints, check: checkMixed },
    { what: 'cuts times to milliseconds', wrong: millisecondPoints, check: checkNanosecondsMatter },
  ])('when it $what', async ({ wrong, check }) => {
    const store = wrong(await openStore(await makeEmbedded({})))
    await expect(check(store)).rejects.toThrow(/expected/)
  })
})
