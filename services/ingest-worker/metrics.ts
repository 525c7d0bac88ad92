import { Counter, Gauge, Histogram } from 'prom-client'
import { LATENCY_BUCKETS, OUTAGE_BUCKETS, SIZE_BUCKETS, type Metrics } from '../../shared/process/metrics.ts'
import { UsefulTime } from './useful-time.ts'

/** What the worker counts; observed per batch. Work that is done again after a restart is counted again. */
export interface IngestMetrics {
  /** Readings that were decoded: with at least one field, whatever was refused of the others. */
  readonly readings: Counter
  readonly points: Counter
  /** Fields, readings and payloads that were refused, those of each record once per process. */
  readonly faults: Counter<'code'>
  /** Records of which something was refused, each once per process. */
  readonly letters: Counter
  /** Dead letters that hold only the beginning of their record. */
  readonly cutLetters: Counter
  /** Series that were new and are not stored, again each time they come. */
  readonly refusedFields: Counter
  readonly nulls: Counter
  /** Values and readings that are stored and not as they were declared. */
  readonly undeclared: Counter<'code'>
  /** Points decoded and given up, because their partition went to another worker: it reads them again. */
  readonly revoked: Counter
  /** Points of readings that were deleted before they were stored. */
  readonly deleted: Counter
  /** Points of replayed records in whose place the store has another value. */
  readonly superseded: Counter
  readonly suspects: Counter
  /** Points that took the place of another value of another message, as far as the worker remembers. */
  readonly overwritten: Counter
  readonly rememberedTimes: Gauge
  /** Weeks that devices spread their readings over in the hour that is, beside that of now. */
  readonly rememberedWeeks: Gauge
  /** Values that have the time of another one, and stand behind it. */
  readonly keptValues: Counter
  /** Records appended for other devices than the one whose record held their readings. */
  readonly handedOn: Counter
  /** Of such records those that came again, and changed nothing. */
  readonly handedOnRepeats: Counter
  readonly gap: Counter<'reason'>
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
  readonly policies: Gauge
  readonly committed: Gauge<'partition'>
  readonly assigned: Gauge<'partition'>
}

export function createIngestMetrics(metrics: Metrics): IngestMetrics {
  const registers = [metrics]
  const counter = (name: string, help: string) => new Counter({ name: `sluice_ingest_${name}`, help, registers })
  const counterBy = <L extends string>(name: string, help: string, label: L) =>
    new Counter({ name: `sluice_ingest_${name}`, help, labelNames: [label], registers })
  const gaugeBy = <L extends string>(name: string, help: string, label: L) =>
    new Gauge({ name: `sluice_ingest_${name}`, help, labelNames: [label], registers })
  const gauge = (name: string, help: string) => new Gauge({ name: `sluice_ingest_${name}`, help, registers })
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: `sluice_ingest_${name}`, help, buckets, registers })
  const seconds = (name: string, help: string) => histogram(name, help, LATENCY_BUCKETS)
  const lasting = (name: string, help: string) => histogram(name, help, OUTAGE_BUCKETS)
  return {
    readings: counter('readings_total', 'Readings decoded, at least one of their fields'),
    points: counter('points_total', 'Points stored'),
    faults: counterBy('faults_total', 'Fields, readings and payloads that were refused, by error code', 'code'),
    letters: counter('dead_letters_total', 'Records of which something was refused: one dead letter each'),
    cutLetters: counter('dead_letters_cut_total', 'Dead letters too large for the log, which keep their first 4 KiB'),
    refusedFields: counter('refused_fields_total', 'New fields beyond the bounds, again with each batch'),
    nulls: counter('nulls_total', 'Fields skipped because they were null'),
    undeclared: counterBy('undeclared_total', 'Stored, and not as it was declared, by code of the note', 'code'),
    revoked: counter('revoked_points_total', 'Points dropped because another worker took over their partition'),
    deleted: counter('deleted_points_total', 'Points not stored, because their readings were deleted'),
    superseded: counter('superseded_points_total', 'Points of a replay not stored: there is another value by now'),
    suspects: counter('clock_suspects_total', 'Readings stored with a suspect time'),
    ...sameTimeMetrics(registers),
    ...handOnCounters(registers),
    gap: counterBy(
      'gap_records_total',
      'Records that were gone before the worker read them: retention, damage, replaced (known ones of a lost log)',
      'reason',
    ),
    retries: counterBy('retries_total', 'Failed attempts that are retried, by dependency', 'dependency'),
    failing: new Gauge({
      name: 'sluice_ingest_failing',
      help: '1 while a dependency fails and its partitions wait, by error code',
      labelNames: ['dependency', 'code'],
      registers,
    }),
    cacheErrors: counter('cache_errors_total', 'Writes of latest values that failed in the cache; nothing is lost'),
    batchRecords: histogram('batch_records', 'Records per decoded batch', SIZE_BUCKETS),
    writePoints: histogram('write_points', 'Points per write to the store', SIZE_BUCKETS),
    decodeSeconds: seconds('decode_seconds', 'Time to decode one batch'),
    writeSeconds: lasting('write_seconds', 'Time from taking a batch of points until it is stored'),
    checkpointSeconds: lasting('checkpoint_seconds', 'Time to make everything durable and commit the offsets'),
    useful: new UsefulTime(counter('useful_seconds_total', 'Time spent decoding and storing, waits excluded')),
    storedLatency: lasting(
      'stored_latency_seconds',
      'Time from receive to stored, for the oldest record of each write',
    ),
    queuedPoints: gauge('queued_points', 'Decoded points waiting to be written; bounded'),
    latestStreams: gauge('latest_streams', 'Streams whose latest values are in memory; bounded'),
    policies: gauge('policies', 'Revisions of policies known to the decoder; bounded'),
    series: gauge('series', 'Series known to the decoder; bounded'),
    committed: gaugeBy('committed_offset', 'Offset at which the worker resumes after a restart', 'partition'),
    assigned: gaugeBy('assigned', '1 for each partition that is of this worker', 'partition'),
  }
}

/** What became of values that have the time of another one. */
function sameTimeMetrics(
  registers: Metrics[],
): Pick<IngestMetrics, 'overwritten' | 'rememberedTimes' | 'rememberedWeeks' | 'keptValues'> {
  const over = 'Points stored over another value of the same time, of another message, as far as the worker remembers'
  const remembered = 'Times whose values are remembered to see overwrites; bounded'
  const weeks = 'Weeks that readings of devices were of in the hour that is, beside that of now; bounded'
  const kept = 'Values that stand behind another one of the same time, by the policy same_time'
  return {
    overwritten: new Counter({ name: 'sluice_ingest_overwritten_total', help: over, registers }),
    rememberedTimes: new Gauge({ name: 'sluice_ingest_remembered_times', help: remembered, registers }),
    rememberedWeeks: new Gauge({ name: 'sluice_ingest_remembered_weeks', help: weeks, registers }),
    keptValues: new Counter({ name: 'sluice_ingest_kept_values_total', help: kept, registers }),
  }
}

function handOnCounters(registers: Metrics[]): Pick<IngestMetrics, 'handedOn' | 'handedOnRepeats'> {
  const name = 'sluice_ingest_handed_on_total'
  const help = 'Records appended to the log with readings that stood in a record of several devices'
  const again = 'Records handed on that came again, and changed nothing'
  return {
    handedOn: new Counter({ name, help, registers }),
    handedOnRepeats: new Counter({ name: 'sluice_ingest_handed_on_repeats_total', help: again, registers }),
  }
}
