import { it } from 'vitest'
import { freshBucket, openInflux } from '../../contract/points-influx-harness.ts'
import { lasting } from '../../long.ts'
import { checkKinds } from '../ingest-worker/kinds.ts'
import { useInfluxdb } from './influx-harness.ts'

const server = useInfluxdb()

it('values of every kind lie side by side in InfluxDB', { timeout: 3_600_000 }, async () => {
  const open = async () => (await openInflux(server(), freshBucket(server()))).store
  // 10,000 sequences in the long run.
  await checkKinds(open, lasting({ gate: 1, long: 200 }))
})
