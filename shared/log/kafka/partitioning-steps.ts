import {
  isPaused,
  LONGEST_MS,
  missing,
  noteBehind,
  proceed,
  settle,
  switchOver,
  type Partitioning,
} from './partitioning.ts'

/** What is asked of Kafka while a change is under way. Errors of both: those of the log. */
export interface PartitionEnds {
  /** Where these partitions of telemetry begin and end. */
  bounds(partitions: readonly number[]): Promise<ReadonlyMap<number, { readonly start: number; readonly end: number }>>
  /** What the workers have committed there. */
  committed(
    partitions: readonly number[],
  ): Promise<ReadonlyMap<number, { readonly offset: number; readonly note?: string | undefined }>>
}

/** A step of a change; it changes nothing where somebody was quicker. */
export type Step = (all: Partitioning, nowMs: number) => Partitioning

/** The step that is due, whoever takes it; undefined while there is none. Errors: those of the log. */
export async function stepDue(all: Partitioning, waitedMs: number, kafka: PartitionEnds): Promise<Step | undefined> {
  const { epoch, state } = all
  const old = Array.from({ length: all.from }, (_, partition) => partition)
  if (state === 'switched') return settlingOf(all, old, kafka)
  const isLate = state !== 'settled' && waitedMs >= LONGEST_MS
  if (isPaused(all) && !isLate) {
    const bounds = await kafka.bounds(old)
    const ends = old.map((partition) => bounds.get(partition)?.end ?? 0)
    return (found, nowMs) => switchOver(found, { epoch, ends }, nowMs)
  }
  const isHeard = state === 'asked' && missing(all, 'heard', 0).length === 0
  return isHeard || isLate ? proceed : undefined
}

async function settlingOf(all: Partitioning, old: readonly number[], kafka: PartitionEnds): Promise<Step | undefined> {
  const [bounds, committed] = await Promise.all([kafka.bounds(old), kafka.committed(old)])
  const isStored = old.every((partition) => {
    // What retention removed nobody will read.
    const reached = Math.max(committed.get(partition)?.offset ?? 0, bounds.get(partition)?.start ?? 0)
    return reached >= (all.ends[partition] ?? 0)
  })
  if (!isStored) return undefined
  const notes = old.map((partition) => committed.get(partition)?.note ?? noteBehind(all, partition) ?? null)
  return (found, nowMs) => settle(found, { epoch: all.epoch, notes }, nowMs)
}
