import { describe, expect, it } from 'vitest'
import { foldingPoints, keepingPoints, millisecondPoints } from '../variants/wrong-points.ts'
import { describePointStore } from './points-contract.ts'
import { openStore } from './points-harness.ts'
import { describePointModel } from './points-model-contract.ts'
import { describeRandomScans } from './points-scan-random-contract.ts'
import { makeEmbedded } from './points-sqlite-harness.ts'
import { checkLaterWriteWins, checkNamesStayApart, checkNanosecondsMatter } from './points-write-contract.ts'

describePointStore('embedded points, as written', () => makeEmbedded({}))
describePointStore('embedded points, sealed at once', () => makeEmbedded({ sealAfterPoints: 1 }))
describePointModel('embedded points, sealed now and then', () => makeEmbedded({ sealAfterPoints: 50 }))
describeRandomScans('embedded points, sealed now and then', () => makeEmbedded({ sealAfterPoints: 50 }))

describe('a wrong point store is seen', () => {
  it.for([
    { what: 'folds the case of names', wrong: foldingPoints, check: checkNamesStayApart },
    { what: 'keeps the first value of a point', wrong: keepingPoints, check: checkLaterWriteWins },
    { what: 'cuts times to milliseconds', wrong: millisecondPoints, check: checkNanosecondsMatter },
  ])('when it $what', async ({ wrong, check }) => {
    const store = wrong(await openStore(await makeEmbedded({})))
    await expect(check(store)).rejects.toThrow(/expected/)
  })
})
