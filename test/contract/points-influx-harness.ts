import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics, type Metrics } from '../../shared/process/metrics.ts'
import { openInfluxPoints, type InfluxPointsOptions } from '../../shared/points/influx/open.ts'
import type { PointStore } from '../../shared/points/port.ts'
import type { Influxdb } from '../../load-tests/servers/influxdb.ts'
import type { PointsHarness } from './points-harness.ts'

/** A bucket that goes with the test. */
export function freshBucket(server: Influxdb): string {
  const bucket = `test-${randomBytes(6).toString('hex')}`
  onTestFinished(() => removeBucket(server, bucket))
  return bucket
}

/** Opens the store in a bucket of the server; closed with the test. */
export async function openInflux(
  server: Influxdb,
  bucket: string,
  options: Partial<InfluxPointsOptions> = {},
): Promise<{ store: PointStore; metrics: Metrics }> {
  const metrics = createMetrics({ defaults: false })
  const { url, org, token } = server
  const logger = createLogger('silent')
  const store = await openInfluxPoints({ url, org, bucket, token: () => token, logger, metrics, ...options })
  onTestFinished(() => store.close())
  return { store, metrics }
}

/** A harness on a bucket of its own. The server's compactions change nothing that can be seen, so nothing is awaited. */
export async function makeInflux(server: Influxdb): Promise<PointsHarness> {
  const bucket = freshBucket(server)
  const { url, org, token } = server
  const logger = createLogger('silent')
  return {
    open: () =>
      openInfluxPoints({ url, org, bucket, token: () => token, logger, metrics: createMetrics({ defaults: false }) }),
    rest: () => Promise.resolve(),
  }
}

/** Calls the server's own interface, beside the adapter. */
export async function callInflux(
  { url, token }: Influxdb,
  method: string,
  path: string,
  body?: string,
): Promise<Response> {
  const headers = { Authorization: `Token ${token}` }
  const response = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) })
  if (!response.ok && response.status !== 404) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return response
}

async function removeBucket(server: Influxdb, bucket: string): Promise<void> {
  const found = await callInflux(server, 'GET', `/api/v2/buckets?org=${server.org}&name=${bucket}`)
  const { buckets } = (await found.json()) as { buckets?: { id: string }[] }
  for (const { id } of buckets ?? []) await callInflux(server, 'DELETE', `/api/v2/buckets/${id}`)
}
