import { expect, it } from 'vitest'
import { checkWorkers } from '../../../../services/cli/workers.ts'

const worker = (id: string, ...features: string[]) => ({ id, host: null, partitions: [0], features })

it('an upgrade of the workers that is half done is told by doctor', () => {
  expect(checkWorkers({ workers: [worker('a', 'x', 'y'), worker('b', 'y', 'x')] })).toMatchObject({ health: 'ok' })
  const mixed = [worker('a', 'x', 'y'), worker('b', 'x'), { id: 'c', host: '10.0.0.3', partitions: [] }]
  expect(checkWorkers({ workers: mixed })).toMatchObject({
    health: 'warn',
    detail: '3 live, of which some are of a version before: b, 10.0.0.3',
  })
  expect(checkWorkers({ workers: [] })).toMatchObject({ health: 'fail' })
})
