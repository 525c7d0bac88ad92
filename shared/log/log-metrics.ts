import { Counter, Gauge, Histogram } from 'prom-client'
import type { ErrorCode } from '../errors.ts'
import { LATENCY_BUCKETS, type Metrics, SIZE_BUCKETS } from '../process/metrics.ts'
import type { LogTopic } from './port.ts'

/** What is counted of one topic; every call is per append, never per record. */
export interface LogMetrics {
  appended(records: number, bytes: number, seconds: number): void
  refused(code: ErrorCode): void
  /** Bytes of records that wait for the disk. */
  waiting(bytes: number): void
  diskBytes(bytes: number): void
  /** A part that was stored is damaged. */
  damaged(): void
}

/** Makes the metrics that every adapter of the log has; once per registry. */
export function createLogMetrics(registry: Metrics): (topic: LogTopic) => LogMetrics {
  const about = (
    name: string,
    help: string,
  ): { name: string; help: string; labelNames: string[]; registers: Metrics[] } => {
    return { name: `sluice_log_${name}`, help, labelNames: ['topic'], registers: [registry] }
  }
  const records = new Counter(about('appended_records_total', 'Records appended durably'))
  const bytes = new Counter(about('appended_bytes_total', 'Bytes of records appended durably'))
  const sizes = new Histogram({ ...about('append_records', 'Records per append'), buckets: SIZE_BUCKETS })
  const latency = new Histogram({
    ...about('append_seconds', 'Time from the call of an append until it is durable'),
    buckets: LATENCY_BUCKETS,
  })
  const refused = new Counter({
    ...about('refused_appends_total', 'Appends that failed, by error code'),
    labelNames: ['topic', 'code'],
  })
  const waiting = new Gauge(about('waiting_bytes', 'Bytes of records waiting for their commit'))
  const disk = new Gauge(about('disk_bytes', 'Size of the log files on disk, as after the next checkpoint'))
  const damaged = new Counter(about('damaged_total', 'Files and rows of the log found damaged'))
  return (topic) => {
    const label = { topic }
    const of = {
      records: records.labels(label),
      bytes: bytes.labels(label),
      sizes: sizes.labels(label),
      latency: latency.labels(label),
      waiting: waiting.labels(label),
      disk: disk.labels(label),
    }
    return {
      appended(count, size, seconds) {
        of.records.inc(count)
        of.bytes.inc(size)
        of.sizes.observe(count)
        of.latency.observe(seconds)
      },
      refused: (code) => refused.inc({ topic, code }),
      waiting: (size) => of.waiting.set(size),
      diskBytes: (size) => of.disk.set(size),
      damaged: () => damaged.inc({ topic }),
    }
  }
}
