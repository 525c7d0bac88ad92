import { LETTER_ROOM_BYTES } from '../../dead-letter.ts'
import type { Facts } from '../../registry/facts-port.ts'
import type { LogTopic } from '../port.ts'
import { appendedTo, lettersIn, type Partitioning } from './partitioning.ts'
import type { TopicRetention, TopicSpec } from './topic-settings.ts'

/** Nobody consumes dead letters, they are looked up: a month of them, and not the whole disk. */
const DEAD_LETTERS: TopicRetention = { ageMs: 30 * 24 * 60 * 60 * 1000, bytes: 256 * 1024 * 1024 }

/** A record is at most 64 KiB, a batch of the broker 4 MiB before it is encoded. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024

/** How the topics are to be. */
export interface TopicPlan {
  /** Of each topic, when it is made; behind that the log has as many as were noted in `facts`. */
  readonly partitions: number
  /** 3 with two of them in sync, or 1 with every batch flushed to the disk. */
  readonly replication: 1 | 3
  /** Of telemetry; without a bound it is kept for ever. */
  readonly retention: TopicRetention
  /** Of dead letters; 30 days and 256 MiB by default. */
  readonly deadLetterRetention?: TopicRetention
  /** Goes before the names of topics and groups, where several installations share a cluster. Empty by default. */
  readonly prefix?: string
  /** Where the processes of an installation note what they agree on; without it every topic is as these options say. */
  readonly facts?: Facts
}

export type TopicSpecs = Readonly<Record<LogTopic, TopicSpec>>

/** Topics as the plan wants them, with the partitions that the log uses of them now. */
export function specsOf(plan: TopicPlan, now: Partitioning): TopicSpecs {
  const partitions = appendedTo(now)
  const { replication, retention, prefix = '' } = plan
  return {
    'telemetry.raw': {
      name: `${prefix}telemetry.raw`,
      partitions,
      replication,
      retention,
      maxBatchBytes: MAX_BATCH_BYTES,
    },
    'telemetry.dead-letter': {
      name: `${prefix}telemetry.dead-letter`,
      partitions: lettersIn(now),
      replication,
      retention: plan.deadLetterRetention ?? DEAD_LETTERS,
      // A letter holds a whole record.
      maxBatchBytes: MAX_BATCH_BYTES + LETTER_ROOM_BYTES,
    },
  }
}
