import { expect, it } from 'vitest'
import { tableOf, type Result } from '../../e2e/cluster/results.ts'

const result: Result = {
  ...{ scenario: 'worker kill -9', seed: 1, acked: 50_000, lost: 0, duplicated: 0, wrong: 0 },
  ...{ recoverySeconds: 3, isVariant: false, load: 0 },
}

it('the table adds up seeds, takes the last run of each, and tells times of quiet machines only', () => {
  const table = tableOf([
    { ...result, lost: 7, recoverySeconds: 99 },
    result,
    { ...result, seed: 2, lost: 1, recoverySeconds: 5 },
    { ...result, seed: 3, recoverySeconds: 80, load: 1e9 },
    { ...result, scenario: 'Kafka hangs', load: 1e9 },
    { ...result, scenario: 'commit before write', lost: 500, isVariant: true },
  ])
  expect(table.split('\n').slice(2)).toEqual([
    '| worker kill -9 | 3 | 150000 | 1 | 0 | 0 | 3.0 / 5.0 s (2) |',
    '| Kafka hangs | 1 | 50000 | 0 | 0 | 0 | busy |',
  ])
})
