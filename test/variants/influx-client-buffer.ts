import { InfluxDB, setLogger } from '@influxdata/influxdb-client'
import { openInfluxPoints, type InfluxPointsOptions } from '../../shared/points/influx/open.ts'
import { LineWriter } from '../../shared/points/influx/lines.ts'
import type { PointStore } from '../../shared/points/port.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** How long the client gathers lines. */
const FLUSH_MS = 20

/**
 * Known-wrong: writes into the client's own buffer, with its own retries. A write is done when the lines are in memory,
 * and what the server refuses with 401, 404 or 422 is dropped after one attempt.
 */
export function bufferedWrites(options: Pick<InfluxPointsOptions, 'url' | 'org' | 'bucket' | 'token'>) {
  const { url, org, bucket, token } = options
  setLogger({ warn: ignore, error: ignore })
  const client = new InfluxDB({ url, token: token() })
  const api = client.getWriteApi(org, bucket, 'ns', { flushInterval: FLUSH_MS })
  const lines = new LineWriter()
  const write: PointStore['write'] = (batch) => {
    const text = lines.write(batch, [...batch.series.keys()])
    if (text !== '') api.writeRecords(text.trimEnd().split('\n'))
    return Promise.resolve([])
  }
  return { write, close: () => api.close() }
}

/** A store that writes so. */
export async function openBufferedInflux(options: InfluxPointsOptions): Promise<PointStore> {
  const store = await openInfluxPoints(options)
  const buffer = bufferedWrites(options)
  return overriding(store, {
    write: buffer.write,
    async close() {
      await buffer.close()
      await store.close()
    },
  })
}

/** The client tells of lost lines on the console, and nobody else. */
function ignore(): void {}
