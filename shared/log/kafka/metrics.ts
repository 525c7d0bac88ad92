import { Counter, Gauge, Histogram } from 'prom-client'
import { LATENCY_BUCKETS, OUTAGE_BUCKETS, type Metrics } from '../../process/metrics.ts'
import type { LogTopic } from '../port.ts'
import type { RequestTold } from './timed-requests.ts'

/** What is counted of Kafka beside the metrics that every log has; every call is per request or rarer. */
export interface KafkaMetrics {
  readonly requested: RequestTold
  /** One produce request was answered, or failed. */
  produced(topic: LogTopic, bytes: number, seconds: number): void
  /** Batches of partitions that are sent again. */
  resent(topic: LogTopic, partitions: number): void
  fetched(bytes: number, records: number, seconds: number): void
  fetchFailed(): void
  rebalanced(group: string): void
  durable(isDurable: boolean): void
  /** How a topic is. */
  state(topic: LogTopic, state: { differences: number; unused: number; unread: number | undefined }): void
}

/** As kafkajs names them; one that is not here is counted as `other`. */
const REQUESTS = [
  ...['Produce', 'Fetch', 'ListOffsets', 'Metadata', 'ApiVersions', 'GroupCoordinator', 'DescribeGroups'],
  ...['JoinGroup', 'SyncGroup', 'Heartbeat', 'LeaveGroup', 'OffsetCommit', 'OffsetFetch', 'other'],
]

const BYTE_BUCKETS = [1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6, 16e6]

/** Makes them; once per registry. */
export function createKafkaMetrics(registry: Metrics): KafkaMetrics {
  const about = <L extends string>(name: string, help: string, labelNames: L[]) => {
    return { name: `sluice_kafka_${name}`, help, labelNames, registers: [registry] }
  }
  const requestBytes = new Histogram({
    ...about('produce_request_bytes', 'Size of the batches in a produce request', ['topic']),
    buckets: BYTE_BUCKETS,
  })
  const requestSeconds = new Histogram({
    ...about('produce_request_seconds', 'Time from sending a produce request to its response', ['topic']),
    buckets: LATENCY_BUCKETS,
  })
  const resent = new Counter(
    about('resent_partitions_total', 'Partition batches sent again because they were not confirmed', ['topic']),
  )
  const fetchSeconds = new Histogram({
    ...about('fetch_seconds', 'Time from a fetch request to its response, including the wait for records', []),
    buckets: LATENCY_BUCKETS,
  })
  const fetchBytes = new Counter(about('fetched_bytes_total', 'Bytes fetched', []))
  const fetchRecords = new Counter(about('fetched_records_total', 'Records fetched', []))
  const fetchFailures = new Counter(about('failed_fetches_total', 'Fetch requests that failed', []))
  const rebalances = new Counter(about('rebalances_total', 'Times that a consumer rejoined its group', ['group']))
  const durable = new Gauge(
    about('topics_durable', '1 when an acknowledged record survives the loss of a Kafka broker, or of power', []),
  )
  const differences = new Gauge(
    about('topic_differences', 'Settings of a topic that are not as Sluice is told, and break no promise', ['topic']),
  )
  const unused = new Gauge(about('unused_partitions', 'Partitions of a topic that the log does not use', ['topic']))
  const unread = new Gauge(about('unread_records', 'Records that others put into partitions not used', ['topic']))
  return {
    requested: createRequested(registry),
    produced(topic, bytes, seconds) {
      requestBytes.observe({ topic }, bytes)
      requestSeconds.observe({ topic }, seconds)
    },
    resent: (topic, partitions) => resent.inc({ topic }, partitions),
    fetched(bytes, records, seconds) {
      fetchSeconds.observe(seconds)
      fetchBytes.inc(bytes)
      fetchRecords.inc(records)
    },
    fetchFailed: () => fetchFailures.inc(),
    rebalanced: (group) => rebalances.inc({ group }),
    durable: (isDurable) => durable.set(isDurable ? 1 : 0),
    state(topic, state) {
      differences.set({ topic }, state.differences)
      unused.set({ topic }, state.unused)
      if (state.unread !== undefined) unread.set({ topic }, state.unread)
    },
  }
}

function createRequested(registry: Metrics): RequestTold {
  const seconds = new Histogram({
    name: 'sluice_kafka_request_seconds',
    help: 'Time from a request to Kafka to its answer, or until it is given up, with connecting',
    labelNames: ['request'],
    buckets: OUTAGE_BUCKETS,
    registers: [registry],
  })
  const failed = new Counter({
    name: 'sluice_kafka_failed_requests_total',
    help: 'Requests to Kafka that were refused or not answered in time',
    labelNames: ['request'],
    registers: [registry],
  })
  for (const request of REQUESTS) failed.inc({ request }, 0)
  return (name, took, hasFailed) => {
    const request = REQUESTS.includes(name) ? name : 'other'
    seconds.observe({ request }, took)
    if (hasFailed) failed.inc({ request })
  }
}
