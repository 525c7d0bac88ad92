import { join } from 'node:path'
import { it } from 'vitest'
import { openEmbedded } from '../../contract/points-sqlite-harness.ts'
import { tempFolder } from '../../helpers.ts'
import { lasting } from '../../long.ts'
import { checkKinds } from './kinds.ts'

it('values of every kind lie side by side in the embedded store', { timeout: 3_600_000 }, async () => {
  const open = async () => {
    // Sealed now and then while they come.
    const { store } = await openEmbedded(join(tempFolder(), 'points'), { sealAfterPoints: 150 })
    return store
  }
  // 10,000 sequences in the long run.
  await checkKinds(open, lasting({ gate: 3, long: 200 }))
})
