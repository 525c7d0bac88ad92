import { setTimeout as sleep } from 'node:timers/promises'

/** Pauses before an attempt is repeated, in milliseconds: `first` after one failure, doubling up to `most`. */
export interface Backoff {
  readonly first: number
  readonly most: number
}

/** Every loop that tries again, by what it tries; {@link backoffMs} adds the jitter. */
export const BACKOFF = {
  /** A process that starts before the servers it needs. */
  start: { first: 250, most: 5_000 },
  /** A process of `up --cluster` that ended by itself. */
  restart: { first: 1_000, most: 30_000 },
  /** The broker's append: the first acknowledgement comes within a second of the log's return. */
  append: { first: 20, most: 200 },
  /** A will that cannot be stamped yet. */
  stamp: { first: 20, most: 20 },
  /** Refusals on their way to the dead letters: never urgent enough to compete with telemetry. */
  refusals: { first: 1_000, most: 1_000 },
  /** Changed rules that could not be read: until then a login keeps those it had, and the registry is not ready anyway. */
  rules: { first: 1_000, most: 1_000 },
  /** Batches that Kafka did not confirm. */
  produce: { first: 20, most: 200 },
  /** Partitions without a leader, and fetches that failed. */
  fetch: { first: 100, most: 100 },
  /** Offsets of a topic, while leaders move. */
  positions: { first: 50, most: 200 },
  /** A consumer group that is joined anew. */
  join: { first: 100, most: 2_000 },
  /** Offsets that the group's coordinator did not take. */
  commit: { first: 200, most: 200 },
  /** The worker's steps: timeouts, restarts, overload, which are over by themselves. */
  passing: { first: 50, most: 5_000 },
  /** The worker's steps: somebody has to change something, so no hurry, but it resumes without a restart. */
  lasting: { first: 2_000, most: 30_000 },
  /** Transactions that the database gave up to let other ones finish. */
  conflict: { first: 10, most: 640 },
  /** Ids of QoS 2 that could not be forgotten: PUBCOMP waits for it. */
  releases: { first: 100, most: 1_000 },
  /** A Redis that left something unanswered. */
  redisPing: { first: 1_000, most: 1_000 },
  /** New connections to the Redis of sessions: clients wait for it. */
  sessionsRedis: { first: 100, most: 1_000 },
  /** New connections to the Redis of the cache: everything works without it. */
  cacheRedis: { first: 100, most: 2_000 },
  /** What a migration reads and writes. */
  migration: { first: 100, most: 5_000 },
  /** Connections of simulated devices. */
  connect: { first: 100, most: 2_000 },
} as const satisfies Record<string, Backoff>

/**
 * The pause after so many failures in a row (1: the first), in milliseconds, shortened by up to half at random: those
 * who failed at the same moment must not come back in step.
 */
export function backoffMs({ first, most }: Backoff, failures: number): number {
  return Math.min(most, first * 2 ** (failures - 1)) * (0.5 + Math.random() / 2)
}

/** Resolves after `ms`, or at once when the signal is aborted; never rejects. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    if (signal?.aborted !== true) throw error
  })
}
