import { INGEST_GROUP, type PartitionLag, type TelemetryLog } from '../../../shared/log/port.ts'

/** Offsets up to which something has to be stored, by partition. */
export type Ends = ReadonlyMap<number, number>

/** Where these partitions of the log end now. */
export async function endsOf(log: Pick<TelemetryLog, 'offsets'>, partitions: ReadonlySet<number>): Promise<Ends> {
  const offsets = await log.offsets('telemetry.raw')
  return new Map(offsets.flatMap(({ partition, end }) => (partitions.has(partition) ? [[partition, end]] : [])))
}

/** How many records before these ends are not stored and committed yet: 0 when none is under way. */
export async function recordsLeft(log: Pick<TelemetryLog, 'lag'>, ends: Ends): Promise<number> {
  const lags = await log.lag('telemetry.raw', INGEST_GROUP)
  return lags.reduce((sum, lag) => sum + leftOf(lag, ends.get(lag.partition) ?? 0), 0)
}

function leftOf(lag: PartitionLag, end: number): number {
  return lag.records === 0 ? 0 : Math.max(0, Math.min(lag.records, end - lag.committed))
}
