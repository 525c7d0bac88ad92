import { it } from 'vitest'
import { freshBucket, openInflux } from '../../contract/points-influx-harness.ts'
import { checkKinds } from '../ingest-worker/kinds.ts'
import { useInfluxdb } from './influx-harness.ts'

const server = useInfluxdb()

it('values of every kind lie side by side in InfluxDB', async () => {
  await checkKinds(async () => (await openInflux(server(), freshBucket(server()))).store, 4, 200)
})
