import type { ingestWorkerSettings } from '../../config/ingest-worker.ts'
import type { Cache } from '../../shared/cache/port.ts'
import { openCodecs, type OpenCodecs } from '../../shared/codecs/uploaded-codecs.ts'
import type { Config } from '../../shared/config.ts'
import type { Logger } from '../../shared/process/logger.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { gaugeOf, type Metrics } from '../../shared/process/metrics.ts'
import type { PointStore } from '../../shared/points/port.ts'
import type { DeclaredTypes } from '../../shared/registry/types-port.ts'
import type { Decoders } from '../../shared/registry/decoders-port.ts'
import type { Policies } from '../../shared/registry/policies-port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { Checkpoint } from './checkpoint.ts'
import { LogReader } from './log-reader.ts'
import { DeadLetters } from './dead-letter.ts'
import { FieldBudget } from './field-budget.ts'
import { DeletedReadings } from './deleted-readings.ts'
import { FieldTypes } from './field-types.ts'
import { Gaps } from './gaps.ts'
import { Admissions } from './admissions.ts'
import { HandOn } from './hand-on.ts'
import { LimitNotes } from './limit-notes.ts'
import { LatestStates } from './latest-states.ts'
import { createIngestMetrics, type IngestMetrics } from './metrics.ts'
import { Pipeline } from './pipeline.ts'
import { RecentValues } from './recent-values.ts'
import { RetentionWatch } from './retention-watch.ts'
import { closed, Retry } from './retry.ts'
import { ClockSteps } from './device-clocks.ts'
import { LocalTimes } from './local-times.ts'
import { SameTimes } from './same-times.ts'
import { PlainTexts } from './plain-texts.ts'
import { PointWriter } from './point-writer.ts'
import { WatchedStages } from './watched-stages.ts'

/** What the worker asks of the registry. */
export type WorkerRegistry = Pick<
  Registry,
  | 'pinFieldTypes'
  | 'admitDevice'
  | 'readStreams'
  | 'writeState'
  | 'fields'
  | 'presence'
  | 'names'
  | 'tombstones'
  | 'watches'
> & {
  readonly decoders: Pick<Decoders, 'find' | 'onPut'>
  readonly policies: Pick<Policies, 'find'>
  readonly declaredTypes: Pick<DeclaredTypes, 'epoch' | 'of' | 'areSomeRequired' | 'requiredIn'>
}

export interface IngestWorkerOptions {
  readonly log: Pick<TelemetryLog, 'consume' | 'append' | 'lag'>
  readonly points: Pick<PointStore, 'write' | 'query' | 'sync'>
  readonly registry: WorkerRegistry
  readonly cache: Pick<Cache, 'setMany'>
  readonly settings: Config<typeof ingestWorkerSettings>
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface IngestWorker {
  /** Not ok while a dependency fails, with what fails and why; the worker goes on by itself when it is back. */
  status(): { readonly ok: boolean; readonly detail?: string }
  /** Not when the worker gave the log up for good, which only a defect makes it do. */
  isReading(): boolean
  /** Readings stored since the start, with at least one field; what is read again after a kill is counted again. */
  readings(): number
  /**
   * Stops reading, stores and commits what was read, and leaves the group. Waits for failing stores no longer than
   * `INGEST_CLOSE_MS`, and for a full disk not at all; what is not stored then is read again at the next start. May be called repeatedly.
   */
  close(): Promise<void>
}

/**
 * Takes records from the log and ends every field as a point in the store or as a fault of a dead letter, in log order; offsets
 * are committed behind both, and behind latest state. Rejects when the log cannot be consumed at all; one that does not let
 * us in yet is waited for, which the status says.
 */
export async function startIngestWorker(options: IngestWorkerOptions): Promise<IngestWorker> {
  const { log, points, registry, cache, settings, logger, metrics: registerIn } = options
  const ending = new AbortController()
  const metrics = createIngestMetrics(registerIn)
  const retry = new Retry({ signal: ending.signal, logger, ...metrics })
  const gaps = new Gaps({ log, retry, metrics, logger })
  const { INGEST_WRITE_POINTS: writePoints, INGEST_DEVICE_WEEKS: deviceWeeks } = settings
  const shared = { log, points, registry, cache, retry, metrics, logger, gaps, writePoints, deviceWeeks }
  const latest = new LatestStates({ ...shared, maxStreams: settings.INGEST_LATEST_STREAMS })
  const recent = new RecentValues({ metrics })
  const codecs = openCountedCodecs(options)
  const reader: LogReader = new LogReader({
    ...shared,
    uploaded: codecs.uploaded,
    batchRecords: settings.INGEST_BATCH_RECORDS,
    push: (slice, signal) => pipeline.push(slice, signal),
    onRevoked: (progress) => {
      pipeline.drop(progress)
      latest.forgetPartition(progress)
      recent.forget()
      budget.forget()
    },
  })
  const checkpoint = new Checkpoint({
    ...shared,
    latest,
    progress: () => reader.progress(),
    consumer: () => reader.consumer,
    onRewound: () => reader.readAgain(),
    everyMs: settings.INGEST_CHECKPOINT_MS,
    everyRecords: settings.INGEST_CHECKPOINT_RECORDS,
  })
  const notes = new LimitNotes(shared)
  const budget = new FieldBudget({ ...shared, limits: settings, notes })
  const stages = stagesOf({ ...shared, latest, budget })
  const pipeline = new Pipeline({
    ...shared,
    ...stages,
    recent,
    latest,
    checkpoint,
    lingerMs: settings.INGEST_LINGER_MS,
  })
  await reader.start()
  const retention = new RetentionWatch({ log, logger })

  const limitMs = settings.INGEST_CLOSE_MS
  const parts = { reader, retention, pipeline, checkpoint, codecs, latest, notes, ending, retry, logger, limitMs }
  let closing: Promise<void> | undefined
  return {
    status: () => status(retry, gaps, retention, codecs.uploaded),
    isReading: () => !reader.isOver,
    readings: () => pipeline.readings,
    close: () => (closing ??= closeAll(parts)),
  }
}

type Shared = Pick<IngestWorkerOptions, 'log' | 'points' | 'registry' | 'cache' | 'logger'> & {
  readonly metrics: IngestMetrics
  readonly retry: Retry
  readonly latest: LatestStates
  readonly budget: FieldBudget
  readonly writePoints: number
  readonly deviceWeeks: number
}

/** What decoded slices pass through on their way into the stores. */
function stagesOf(shared: Shared) {
  const types = new FieldTypes(shared)
  return {
    clockSteps: new ClockSteps(shared),
    localTimes: new LocalTimes(shared),
    texts: new PlainTexts(shared),
    sameTimes: new SameTimes(shared),
    handOn: new HandOn({ ...shared, names: shared.registry.names, admissions: new Admissions(shared) }),
    writer: new PointWriter({ ...shared, types, deleted: new DeletedReadings(shared) }),
    deadLetters: new DeadLetters(shared),
    watched: new WatchedStages(shared),
  }
}

interface Closed {
  readonly reader: LogReader
  readonly retention: RetentionWatch
  readonly pipeline: Pipeline
  readonly checkpoint: Checkpoint
  readonly codecs: OpenCodecs
  readonly latest: LatestStates
  readonly notes: LimitNotes
  readonly ending: AbortController
  readonly retry: Retry
  readonly logger: Logger
  readonly limitMs: number
}

async function closeAll(parts: Closed): Promise<void> {
  const { reader, retention, pipeline, checkpoint, codecs, latest, notes } = parts
  reader.park()
  retention.close()
  const done = pipeline.idle().then(() => checkpoint.finish())
  await finishInTime(done, parts)
  checkpoint.close()
  // Before the reader, which waits for what is decoded.
  await codecs.close()
  await reader.close()
  await Promise.all([latest.close(), notes.close()])
}

function openCountedCodecs({ registry, metrics }: IngestWorkerOptions): OpenCodecs {
  const codecs = openCodecs(registry.decoders)
  const help = 'Codecs that are not run any more because they failed 100 times in a row, or did not come to an end'
  gaugeOf(metrics, 'sluice_ingest_codecs_paused', help, () => codecs.uploaded.paused)
  return codecs
}

/** Waits for what is on its way, but not for ever, and ends all retries. */
async function finishInTime(
  done: Promise<void>,
  options: { ending: AbortController; retry: Retry; logger: Logger; limitMs: number },
): Promise<void> {
  const { ending, retry, logger, limitMs } = options
  const timer = setTimeout(() => ending.abort(closed()), limitMs)
  const ended = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve()))
  retry.whenHopeless(() => ending.abort(closed()))
  await Promise.race([done, ended])
  clearTimeout(timer)
  if (ending.signal.aborted) logger.warn({ problem: retry.problem() }, 'closing with records not yet stored')
  else ending.abort(closed())
}

function status(
  retry: Retry,
  ...warnings: readonly { summary(): string | undefined }[]
): { ok: boolean; detail?: string } {
  const problem = retry.problem()
  if (problem !== undefined) return { ok: false, detail: problem }
  const details = warnings.flatMap((one) => one.summary() ?? [])
  return details.length === 0 ? { ok: true } : { ok: true, detail: details.join('; ') }
}
