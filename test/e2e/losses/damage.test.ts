import { describe, expect, it } from 'vitest'
import { problemsOf, unknownFiles, useFilledFolder } from './damage-seeds.ts'

// All of it with 20 seeds: `npm run test:faults -- --only damage`.
describe('damage to any file of a data folder is told, by a start that names it or as a gap', () => {
  const filled = useFilledFolder()

  it('knows every kind of file', () => {
    expect(unknownFiles(filled())).toEqual([])
  })

  it('one damage of each', async () => {
    expect(await problemsOf(filled(), 1, 'all')).toEqual([])
  })
})
