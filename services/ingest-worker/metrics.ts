import { Counter, Gauge, Histogram } from 'prom-client'
import type { Logger } from '../../shared/process/logger.ts'
import { LATENCY_BUCKETS, SIZE_BUCKETS, type Metrics } from '../../shared/process/metrics.ts'
import { UsefulTime } from './useful-time.ts'

/** What the worker counts; observed per batch. Work that is done again after a restart is counted again. */
export interface IngestMetrics {
  /** Readings that were decoded and accepted. */
  readonly readings: Counter
  readonly points: Counter
  /** Readings that became dead letters, each source once per process. */
  readonly rejects: Counter<'code'>
  readonly nulls: Counter
  /** Points decoded and given up, because their partition went to another worker: it reads them again. */
  readonly revoked: Counter
  readonly suspects: Counter
  readonly gap: Counter
  readonly retries: Counter<'dependency'>
  readonly failing: Gauge<'dependency' | 'code'>
  readonly cacheErrors: Counter
  readonly batchRecords: Histogram
  readonly writePoints: Histogram
  readonly decodeSeconds: Histogram
  readonly writeSeconds: Histogram
  readonly checkpointSeconds: Histogram
  readonly storedLatency: Histogram
  readonly useful: UsefulTime
  readonly queuedPoints: Gauge
  readonly latestStreams: Gauge
  readonly series: Gauge
  readonly committed: Gauge<'partition'>
}

export function createIngestMetrics(metrics: Metrics): IngestMetrics {
  const registers = [metrics]
  const counter = (name: string, help: string) => new Counter({ name: `sluice_ingest_${name}`, help, registers })
  const gauge = (name: string, help: string) => new Gauge({ name: `sluice_ingest_${name}`, help, registers })
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: `sluice_ingest_${name}`, help, buckets, registers })
  const seconds = (name: string, help: string) => histogram(name, help, LATENCY_BUCKETS)
  return {
    readings: counter('readings_total', 'Readings decoded and accepted.'),
    points: counter('points_total', 'Points stored.'),
    rejects: new Counter({
      name: 'sluice_ingest_rejects_total',
      help: 'Readings that became dead letters, by code.',
      labelNames: ['code'],
      registers,
    }),
    nulls: counter('nulls_total', 'Fields skipped because they were null.'),
    revoked: counter('revoked_points_total', 'Points decoded and left to the worker that took their partition over.'),
    suspects: counter('clock_suspects_total', 'Readings stored with a time that is doubtful.'),
    gap: counter('gap_records_total', 'Records that were gone from the log before they were read.'),
    retries: new Counter({
      name: 'sluice_ingest_retries_total',
      help: 'Attempts that failed and are repeated, by dependency.',
      labelNames: ['dependency'],
      registers,
    }),
    failing: new Gauge({
      name: 'sluice_ingest_failing',
      help: '1 while a dependency fails and its partitions wait, by the code of the error.',
      labelNames: ['dependency', 'code'],
      registers,
    }),
    cacheErrors: counter('cache_errors_total', 'Writes of latest state that the cache failed; nothing is lost.'),
    batchRecords: histogram('batch_records', 'Records decoded at once.', SIZE_BUCKETS),
    writePoints: histogram('write_points', 'Points per write to the store.', SIZE_BUCKETS),
    decodeSeconds: seconds('decode_seconds', 'Time to decode one batch.'),
    writeSeconds: seconds('write_seconds', 'Time from taking a batch of points to its being stored.'),
    checkpointSeconds: seconds('checkpoint_seconds', 'Time to make everything durable and commit.'),
    useful: new UsefulTime(
      counter('useful_seconds_total', 'Time at work: decoding and storing, without any waiting for input or faults.'),
    ),
    storedLatency: seconds('stored_latency_seconds', 'From receiving to stored, of the oldest record per write.'),
    queuedPoints: gauge('queued_points', 'Decoded points that wait to be written; bounded.'),
    latestStreams: gauge('latest_streams', 'Streams whose latest state is in memory; bounded.'),
    series: gauge('series', 'Series kept by the decoder; bounded.'),
    committed: new Gauge({
      name: 'sluice_ingest_committed_offset',
      help: 'Next offset to read after a restart.',
      labelNames: ['partition'],
      registers,
    }),
  }
}

/** Lag is asked for when it is scraped; a log that does not answer leaves the last values. */
export function exposeLag(
  metrics: Metrics,
  logger: Logger,
  read: () => Promise<readonly { partition: number; records: number; seconds: number }[]>,
): void {
  const registers = [metrics]
  const labelNames = ['partition'] as const
  const seconds = new Gauge({
    name: 'sluice_ingest_lag_seconds',
    help: 'Age of the oldest record that is not committed.',
    labelNames,
    registers,
  })
  new Gauge({
    name: 'sluice_ingest_lag_records',
    help: 'Records that are not committed.',
    labelNames,
    registers,
    async collect() {
      try {
        for (const lag of await read()) {
          this.set({ partition: lag.partition }, lag.records)
          seconds.set({ partition: lag.partition }, lag.seconds)
        }
      } catch (error) {
        logger.debug({ err: error }, 'the log did not tell its lag')
      }
    },
  })
}
