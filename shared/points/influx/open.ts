import type { Logger } from '../../process/logger.ts'
import type { Metrics } from '../../process/metrics.ts'
import type { Waiting } from '../../process/wait-for-server.ts'
import { prepareBucket } from './bucket.ts'
import { InfluxConnection } from './connection.ts'
import { InfluxMetrics } from './metrics.ts'
import { InfluxPoints } from './store.ts'
import { PointsMetrics } from '../points-metrics.ts'
import type { PointStore } from '../port.ts'

export interface InfluxPointsOptions extends Waiting {
  readonly url: string
  /** Certificates that an https server is verified with, PEM, asked at each connection; those of the system without it. */
  readonly ca?: (() => string) | undefined
  readonly org: string
  /** Made when it is absent and the token may. */
  readonly bucket: string
  /** Asked at the start, and again when the server refuses the last one. */
  readonly token: () => string
  /** How long the bucket keeps points, whole milliseconds, at least an hour; absent: what it says, or for ever. */
  readonly retentionMs?: number | undefined
  /** What a new shard of the bucket holds, whole hours, at most the retention; absent: as InfluxDB has it. */
  readonly shardMs?: number | undefined
  /**
   * How often points past the retention of their tenant are deleted; absent: another process does it. They are not
   * seen either way.
   */
  readonly expireEveryMs?: number
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * Opens a bucket of InfluxDB 2 as point store; waits until the server answers. A token that is refused does not end it:
 * the first write or query says so, with `store_unauthorised`, and goes on when `token` gives a better one.
 *
 * Names: measurement `{tenant}.{stream}` (see influx/names.ts), tag `device`, one field per field. A write has returned
 * only when the server has fsynced its log: `tsdb/engine/tsm1/wal.go` `writeToLog` waits for it, also with
 * `storage-wal-fsync-delay`.
 *
 * Errors: `closed` when the signal is aborted before the server answered; `setting_invalid` for certificates without https.
 */
export async function openInfluxPoints(options: InfluxPointsOptions): Promise<PointStore> {
  const { url, ca, org, bucket, token, retentionMs, shardMs, expireEveryMs, logger, metrics, signal, onWaiting } =
    options
  const influxMetrics = new InfluxMetrics(metrics)
  const connection = new InfluxConnection({ url, ca, token, metrics: influxMetrics })
  try {
    const keepMs = await prepareBucket({ connection, org, bucket, retentionMs, shardMs, logger, signal, onWaiting })
    const parts = { connection, org, bucket, metrics: influxMetrics }
    const store = new InfluxPoints({ ...parts, figures: new PointsMetrics(metrics), keepMs, logger })
    if (expireEveryMs !== undefined) store.expireEvery(expireEveryMs)
    return store
  } catch (error) {
    connection.close()
    throw error
  }
}
