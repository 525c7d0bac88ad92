import { runIngestWorker } from '../../services/ingest-worker/main.ts'
import { bufferedWrites } from './influx-client-buffer.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: a worker that leaves buffer and retries to the client of InfluxDB. */
const setting = (name: string) => process.env[name] ?? ''
const influxdb = {
  url: setting('INFLUX_URL'),
  org: setting('INFLUX_ORG'),
  bucket: 'telemetry',
  token: () => setting('INFLUX_TOKEN'),
}

process.exitCode = await runIngestWorker((ports) => ({
  ...ports,
  points: overriding(ports.points, { write: bufferedWrites(influxdb).write }),
}))
