import { BACKOFF, backoffMs, pause } from '../../backoff.ts'
import { toSluiceError } from '../../errors.ts'
import type { Position } from '../port.ts'
import type { KafkaClient } from './client.ts'
import { type CommitNote, writeNote } from './commit-note.ts'
import type { Session } from './group-member.ts'
import { protocolType } from './kafka-error.ts'

const ATTEMPTS = 10

interface CommitsOptions {
  readonly client: KafkaClient
  /** The topic's and the group's name in Kafka. */
  readonly topicName: string
  readonly groupName: string
  readonly session: () => Session | undefined
  /** What is noted beside an offset of a partition. */
  readonly note: (position: Position) => CommitNote
}

/** Commits positions of the partitions that are ours, one call after the other, and never an earlier one. */
export class Commits {
  readonly #options: CommitsOptions
  /** What is committed in the partitions that are ours; -1 for nothing. */
  readonly #committed = new Map<number, number>()
  #committing: Promise<unknown> = Promise.resolve()

  constructor(options: CommitsOptions) {
    this.#options = options
  }

  /** The partition is ours, and this is committed in it; -1 for nothing that counts. */
  begin(partition: number, committed: number): void {
    this.#committed.set(partition, committed)
  }

  end(partition: number): void {
    this.#committed.delete(partition)
  }

  async commit(positions: readonly Position[]): Promise<void> {
    const turn = this.#committing.then(() => this.#commit(positions))
    // The next one waits for it, and only the caller hears of its failure.
    this.#committing = Promise.allSettled([turn])
    await turn
  }

  async #commit(positions: readonly Position[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const session = this.#options.session()
      const due = latest(positions).filter(({ partition, offset }) => {
        const committed = this.#committed.get(partition)
        return committed !== undefined && offset > committed
      })
      if (due.length === 0 || session === undefined) return
      try {
        await this.#send(session, due)
        for (const { partition, offset } of due) if (this.#committed.has(partition)) this.begin(partition, offset)
        return
      } catch (error) {
        const failure = toSluiceError(error, 'log_unavailable')
        const isOver = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'].includes(protocolType(error) ?? '')
        if (isOver || !failure.canRetry || failure.code === 'closed' || attempt >= ATTEMPTS) throw failure
        await pause(backoffMs(BACKOFF.commit, attempt))
      }
    }
  }

  /** With the generation in which the partitions were ours: a later one makes Kafka refuse it. */
  async #send({ memberId, generation }: Session, due: readonly Position[]): Promise<void> {
    const { client, groupName, topicName, note } = this.#options
    const partitions = due.map((position) => {
      const { partition, offset } = position
      return { partition, offset: String(offset), metadata: writeNote(note(position)) }
    })
    await client.atCoordinator(groupName, (broker) =>
      broker.offsetCommit({
        groupId: groupName,
        groupGenerationId: generation,
        memberId,
        topics: [{ topic: topicName, partitions }],
      }),
    )
  }
}

/** The highest position of each partition. */
function latest(positions: readonly Position[]): Position[] {
  const highest = new Map<number, Position>()
  for (const position of positions) {
    if (position.offset >= (highest.get(position.partition)?.offset ?? 0)) highest.set(position.partition, position)
  }
  return [...highest.values()]
}
