import type { PartitionLag } from '../../../shared/log/port.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { INGEST_GROUP } from '../../../shared/log/port.ts'
import { comparePoints } from './compared-points.ts'
import { Differences, type Comparison, type MigrationPorts, type Step } from './migration-ports.ts'
import { compareTopic, moveTopic, type MovingTopic } from './moved-log.ts'
import { devicesOf, movePoints } from './moved-points.ts'
import { compareRows, movedRows, moveRows } from './moved-rows.ts'
import type { Progress } from './progress.ts'

const ALL_SERIES = 10_000

export interface MigrationReport {
  /** Everything that was there is in the cluster, and the same. */
  readonly ok: boolean
  /** True when an earlier run had begun. */
  readonly resumed: boolean
  readonly target: string
  readonly comparisons: readonly Comparison[]
  readonly series: number
  /** Points of the same streams that only the cluster has. */
  readonly onlyInTarget: number
  /** What differs: how much, and the first hundred. */
  readonly differences: { readonly total: number; readonly shown: readonly string[] }
}

/** What a migration would move: rows by table, series, points, records. */
export interface MigrationPlan {
  readonly rows: Readonly<Record<string, number>>
  readonly devicesWithPoints: number
  readonly series: number
  readonly points: number
  readonly unconsumed: number
  readonly oldestUnconsumedSeconds: number
  readonly deadLetters: number
}

/** Changes whenever the source has run. */
export async function sourceState({ log }: MigrationPorts): Promise<string> {
  const lag = await log.lag('telemetry.raw', INGEST_GROUP)
  const letters = await log.offsets('telemetry.dead-letter')
  return JSON.stringify([lag.map(({ committed, end }) => [committed, end]), letters.map(({ end }) => end)])
}

export function unconsumed({ log }: MigrationPorts): Promise<readonly PartitionLag[]> {
  return log.lag('telemetry.raw', INGEST_GROUP)
}

/**
 * Moves everything and reads it back. May be stopped at any moment and called again: it goes on where it was. Points go
 * before the unconsumed log, because of two values for one point the later one in the log is to stand.
 */
export async function migrate(step: Step, progress: Progress): Promise<MigrationReport> {
  const { state, resumed } = progress
  const differences = new Differences()
  if (!state.tables) {
    await moveRows(step)
    state.tables = true
    progress.save()
  }
  if (!state.points.done) await movePoints(step, progress, differences)
  const topics = await movingTopics(step.source, state.log)
  for (const moving of topics) await moveTopic(step, progress, moving)
  step.signal.throwIfAborted()

  const rows = await compareRows(step, differences)
  const points = await comparePoints(step, differences)
  const records: Comparison[] = []
  for (const moving of topics) {
    const { from = [], begin = [] } = state.topics[moving.topic] ?? {}
    records.push(await compareTopic(step, moving, { from, begin }, differences))
  }
  // A log that is told to stop ends a reading as if there were no more.
  step.signal.throwIfAborted()
  const { series, more: onlyInTarget, what, source, target } = points
  return {
    ok: differences.total === 0,
    resumed,
    target: state.target,
    comparisons: [...rows, { what, source, target }, ...records],
    series,
    onlyInTarget,
    differences: { total: differences.total, shown: differences.shown },
  }
}

/** Counts what there is; moves nothing. */
export async function planMigration(source: MigrationPorts): Promise<MigrationPlan> {
  const rows: Record<string, number> = {}
  for (const table of source.tables.names) {
    rows[table] = 0
    for await (const page of movedRows(source, table)) rows[table] += page.length
  }
  const counts = { devicesWithPoints: 0, series: 0, points: 0 }
  for await (const devices of devicesOf(source.points, undefined)) {
    for (const device of devices) {
      counts.devicesWithPoints += 1
      const streams = new Set((await source.points.series(device.tenant, device.device)).map(({ stream }) => stream))
      for (const stream of streams) {
        const query = { ...device, stream, limit: ALL_SERIES, aggregate: { function: 'count' as const } }
        const { series } = await source.points.query(query)
        counts.series += series.length
        for (const { values } of series) counts.points += Number(values[0] ?? 0)
      }
    }
  }
  const lag = await unconsumed(source)
  const letters = await source.log.offsets('telemetry.dead-letter')
  return {
    rows,
    ...counts,
    unconsumed: lag.reduce((sum, { records }) => sum + records, 0),
    oldestUnconsumedSeconds: Math.max(0, ...lag.map(({ seconds }) => seconds)),
    deadLetters: letters.reduce((sum, { start, end }) => sum + end - start, 0),
  }
}

async function movingTopics(source: MigrationPorts, name: string): Promise<MovingTopic[]> {
  const committed = (await unconsumed(source)).map((lag) => lag.committed)
  const starts = (await source.log.offsets('telemetry.dead-letter')).map(({ start }) => start)
  return [
    { topic: 'telemetry.raw', what: 'unconsumed log', from: committed, moved: withoutFrom },
    { topic: 'telemetry.dead-letter', what: 'dead letters', from: starts, moved: (record) => ofLog(record, name) },
  ]
}

/**
 * What was handed on and is not stored yet goes on as if it had come by itself: its place in the source's log means nothing
 * in the target's, whose partitions take it in another order. A copy of it would be stored as the same points.
 */
function withoutFrom(record: LogRecord): LogRecord {
  if (record.headers?.['from'] === undefined) return record
  const { from: _place, ...headers } = record.headers
  return { ...record, headers }
}

/** A dead letter names its place in the source's log, which is another place in the target's. */
function ofLog(record: LogRecord, log: string): LogRecord {
  const { headers } = record
  if (headers?.['source'] === undefined || headers['log'] !== undefined) return record
  return { ...record, headers: { ...headers, log } }
}
