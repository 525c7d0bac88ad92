import { BACKOFF, backoffMs, pause } from '../../backoff.ts'
import { SluiceError, toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { ConsumeOptions, LogConsumer, LogGap, Position } from '../port.ts'
import type { KafkaClient } from './client.ts'
import type { Feeds } from './feeds.ts'
import { GroupMember, type Session } from './group-member.ts'
import type { KafkaMetrics } from './metrics.ts'
import { protocolType } from './kafka-error.ts'
import type { Positions } from './positions.ts'

/** How often in the time of silence that is allowed the watch looks. */
const LOOKS = 12
const COMMIT_ATTEMPTS = 10

interface GroupConsumerOptions extends ConsumeOptions {
  /** The topic's and the group's name in Kafka. */
  readonly topicName: string
  readonly groupName: string
  readonly partitions: number
  /** Without an answer to a fetch, or without membership, for so long the consumer ends; whoever uses it opens another. */
  readonly silenceMs: number
  /** Of this consumer alone, closed with it. */
  readonly client: KafkaClient
  readonly otherClient: KafkaClient
  readonly feeds: Feeds
  readonly positions: Positions
  readonly logger: Logger
  readonly metrics: KafkaMetrics
  readonly onClosed: () => void
}

/** A partition while it is ours. */
interface Owned {
  readonly abort: AbortController
  readonly loop: Promise<void>
}

/** One member of a group and its partitions: one loop per partition, each one batch at a time. */
export class GroupConsumer implements LogConsumer {
  readonly #options: GroupConsumerOptions
  readonly #member: GroupMember
  readonly #watch: NodeJS.Timeout
  readonly #joined = Promise.withResolvers<void>()
  #session: Session | undefined
  readonly #owned = new Map<number, Owned>()
  /** What is committed in the partitions that are ours; -1 for nothing. */
  readonly #committed = new Map<number, number>()
  #committing: Promise<unknown> = Promise.resolve()
  #hasJoined = false
  #isStopped = false
  #closing: Promise<void> | undefined

  constructor(options: GroupConsumerOptions) {
    this.#options = options
    const { groupName, topicName, partitions, silenceMs, client, otherClient, logger } = options
    this.#member = new GroupMember({
      group: groupName,
      topic: topicName,
      partitions,
      client,
      otherClient,
      logger,
      onAssigned: (session) => this.#assign(session),
      onRevoked: () => this.#revoke(),
      onFailed: (error) => this.#stop(error),
    })
    this.#watch = setInterval(() => this.#checkSilence(), silenceMs / LOOKS)
  }

  /** Resolves when the group was joined. */
  joined(): Promise<void> {
    return this.#joined.promise
  }

  async commit(positions: readonly Position[]): Promise<void> {
    if (this.#closing !== undefined) throw new SluiceError('closed', 'the consumer is closed')
    const turn = this.#committing.then(() => this.#commit(positions))
    // The next one waits for it, and only the caller hears of its failure.
    this.#committing = Promise.allSettled([turn])
    await turn
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#watch)
    for (const { abort } of this.#owned.values()) abort.abort()
    this.#joined.reject(new SluiceError('closed', 'the consumer is closed'))
    await this.#member.close()
    await this.#options.feeds.close()
    this.#options.onClosed()
  }

  async #assign(session: Session): Promise<void> {
    const { topicName, groupName, positions, logger, group, metrics } = this.#options
    const { partitions } = session
    const [committed, bounds] = await Promise.all([
      partitions.length === 0 ? new Map<number, number>() : positions.committed(topicName, groupName, partitions),
      positions.bounds(topicName, partitions),
    ])
    if (this.#hasJoined) metrics.rebalanced(group)
    this.#session = session
    logger.info({ group, partitions, generation: session.generation }, 'partitions of the group assigned')
    for (const partition of partitions) {
      const known = committed.get(partition)
      const start = bounds.get(partition)?.start ?? 0
      this.#committed.set(partition, known ?? -1)
      // A group without a position begins at the first record that is kept, never at the end.
      if (known !== undefined && known < start) this.#gap({ partition, from: known, lost: start - known, next: start })
      const abort = new AbortController()
      this.#owned.set(partition, { abort, loop: this.#run(partition, Math.max(known ?? start, start), abort) })
    }
    this.#hasJoined = true
    this.#joined.resolve()
  }

  /** Ends what is in hand and waits for it. Never rejects. */
  async #revoke(): Promise<void> {
    const owned = [...this.#owned]
    this.#session = undefined
    for (const [, { abort }] of owned) abort.abort()
    await Promise.all(
      owned.map(async ([partition, { loop }]) => {
        await loop
        this.#owned.delete(partition)
        this.#committed.delete(partition)
        this.#options.onRevoked?.(partition)
      }),
    )
  }

  async #run(partition: number, from: number, { signal }: AbortController): Promise<void> {
    const { feeds, topic, topicName, maxRecords, onBatch } = this.#options
    const feed = feeds.open({
      topic: topicName,
      partition,
      offset: from,
      onOutOfRange: (offset) => this.#relocate(partition, offset),
    })
    try {
      while (!signal.aborted) {
        const run = await feed.next(maxRecords, signal)
        if (run !== undefined) await onBatch({ topic, partition, ...run }, signal)
      }
    } catch (error) {
      // What fails after it was told to stop did not fail.
      if (!signal.aborted) this.#stop(toSluiceError(error))
    }
    feed.close()
  }

  /** Where to go on when the next offset is not in the log: retention passed it, or the topic was cut or made anew. */
  async #relocate(partition: number, offset: number): Promise<number> {
    const { positions, topicName } = this.#options
    const bounds = (await positions.bounds(topicName, [partition])).get(partition) ?? { start: 0, end: 0 }
    if (offset >= bounds.start && offset <= bounds.end) return offset
    const lost = offset < bounds.start ? bounds.start - offset : offset - bounds.end
    this.#gap({ partition, from: offset, lost, next: bounds.start })
    // Reading again what was stored changes nothing; skipping what was not would lose it.
    if (offset > bounds.end) this.#committed.set(partition, -1)
    return bounds.start
  }

  #gap(gap: LogGap): void {
    const { metrics, topic, onGap, logger, group } = this.#options
    metrics.gap(topic, gap.lost)
    logger.error({ code: 'offset_reset', group, ...gap }, 'the next record to read is no longer in the log')
    onGap?.(gap)
  }

  async #commit(positions: readonly Position[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const session = this.#session
      const due = latest(positions).filter(({ partition, offset }) => {
        const committed = this.#committed.get(partition)
        return committed !== undefined && offset > committed
      })
      if (due.length === 0 || session === undefined) return
      try {
        await this.#send(session, due)
        for (const { partition, offset } of due) if (this.#owned.has(partition)) this.#committed.set(partition, offset)
        return
      } catch (error) {
        const failure = toSluiceError(error, 'log_unavailable')
        const isOver = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'].includes(protocolType(error) ?? '')
        if (isOver || !failure.canRetry || failure.code === 'closed' || attempt >= COMMIT_ATTEMPTS) throw failure
        await pause(backoffMs(BACKOFF.commit, attempt))
      }
    }
  }

  /** With the generation in which the partitions were ours: a later one makes Kafka refuse it. */
  async #send({ memberId, generation }: Session, due: readonly Position[]): Promise<void> {
    const { client, groupName, topicName } = this.#options
    const partitions = due.map(({ partition, offset }) => ({ partition, offset: String(offset), metadata: null }))
    await client.atCoordinator(groupName, (broker) =>
      broker.offsetCommit({
        groupId: groupName,
        groupGenerationId: generation,
        memberId,
        topics: [{ topic: topicName, partitions }],
      }),
    )
  }

  #checkSilence(): void {
    const { feeds, logger, silenceMs } = this.#options
    const lastMs = Math.max(feeds.lastAnswerMs, this.#owned.size === 0 ? this.#member.lastAnswerMs : 0)
    if (performance.now() - lastMs < silenceMs || (this.#owned.size > 0 && feeds.isFull)) return
    logger.error({ group: this.#options.group }, 'no answer from Kafka for too long; closing the consumer')
    this.#stop(new SluiceError('log_unavailable', `no answer from Kafka for ${silenceMs / 1000} s`))
  }

  /** The first failure of any partition ends all of them. */
  #stop(error: SluiceError): void {
    if (this.#isStopped || this.#closing !== undefined) return
    this.#isStopped = true
    clearInterval(this.#watch)
    for (const { abort } of this.#owned.values()) abort.abort()
    // Before that whoever opens the consumer hears of it by the rejection alone.
    if (this.#hasJoined) this.#options.onError(error)
    else this.#joined.reject(error)
  }
}

/** The highest position of each partition. */
function latest(positions: readonly Position[]): Position[] {
  const highest = new Map<number, number>()
  for (const { partition, offset } of positions) {
    highest.set(partition, Math.max(offset, highest.get(partition) ?? offset))
  }
  return Array.from(highest, ([partition, offset]) => ({ partition, offset }))
}
