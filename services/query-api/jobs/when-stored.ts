import { pause } from '../../../shared/backoff.ts'
import { INGEST_GROUP, type PartitionLag, type TelemetryLog } from '../../../shared/log/port.ts'

/** Between two looks at what is stored by now. */
const LOOK_EVERY_MS = 200

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

/**
 * Resolves when everything is stored and committed that these partitions of the log hold now: no worker has anything of it under
 * way. Meanwhile `tell` says what is waited for. Errors: those of the log and of `tell`; the signal's reason.
 */
export async function whenStored(
  log: Pick<TelemetryLog, 'offsets' | 'lag'>,
  partitions: ReadonlySet<number>,
  signal: AbortSignal,
  tell?: (left: number) => Promise<void>,
): Promise<void> {
  const ends = await endsOf(log, partitions)
  for (let told = -1; ;) {
    signal.throwIfAborted()
    const left = await recordsLeft(log, ends)
    if (left === 0) return
    if (left !== told) await tell?.(left)
    told = left
    await pause(LOOK_EVERY_MS, signal)
  }
}

function leftOf(lag: PartitionLag, end: number): number {
  return lag.records === 0 ? 0 : Math.max(0, Math.min(lag.records, end - lag.committed))
}
