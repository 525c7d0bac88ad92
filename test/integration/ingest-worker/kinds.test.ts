import { join } from 'node:path'
import { it } from 'vitest'
import { openEmbedded } from '../../contract/points-sqlite-harness.ts'
import { tempFolder } from '../../helpers.ts'
import { checkKinds } from './kinds.ts'

it('values of every kind lie side by side in the embedded store', { timeout: 120_000 }, async () => {
  // 10,000 values and more; sealed again and again while they come.
  await checkKinds(
    async () => (await openEmbedded(join(tempFolder(), 'points'), { sealAfterPoints: 50 })).store,
    30,
    600,
  )
})
