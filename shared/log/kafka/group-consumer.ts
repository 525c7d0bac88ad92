import { SluiceError, toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { ConsumeOptions, LogConsumer, LogGap, Position } from '../port.ts'
import type { KafkaClient } from './client.ts'
import { Commits } from './commits.ts'
import type { Feed } from './feed.ts'
import type { Feeds } from './feeds.ts'
import { PartitionReader } from './partition-reader.ts'
import { noteBehind, readFrom } from './partitioning.ts'
import type { PartitioningMember } from './partitioning-member.ts'
import { GroupMember, type Session } from './group-member.ts'
import type { KafkaMetrics } from './metrics.ts'
import type { Committed, Positions } from './positions.ts'
import { readableParts } from './readable-parts.ts'

/** How often in the time of silence that is allowed the watch looks. */
const LOOKS = 12

interface GroupConsumerOptions extends ConsumeOptions {
  /** The topic's and the group's name in Kafka. */
  readonly topicName: string
  readonly groupName: string
  readonly partitioning: Pick<PartitioningMember, 'now' | 'refresh' | 'readable'>
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
  readonly reader: PartitionReader
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
  readonly #commits: Commits
  /** Id of the topic as of the last assignment. */
  #log: string | undefined
  #hasJoined = false
  #isStopped = false
  #closing: Promise<void> | undefined

  constructor(options: GroupConsumerOptions) {
    this.#options = options
    const { groupName, topicName, partitioning, silenceMs, client, otherClient, logger } = options
    this.#member = new GroupMember({
      group: groupName,
      topic: topicName,
      partitions: () => readFrom(partitioning.now),
      client,
      otherClient,
      logger,
      onAssigned: (session) => this.#assign(session),
      onRevoked: () => this.#revoke(),
      onFailed: (error) => this.#stop(error),
    })
    this.#commits = new Commits({
      ...{ client, topicName, groupName },
      session: () => this.#session,
      note: ({ partition, ms, note }) => {
        return { log: this.#log, ms, end: this.#owned.get(partition)?.reader.end || undefined, note }
      },
    })
    this.#watch = setInterval(() => this.#checkSilence(), silenceMs / LOOKS)
  }

  /** Resolves when the group was joined. */
  joined(): Promise<void> {
    return this.#joined.promise
  }

  async commit(positions: readonly Position[]): Promise<void> {
    if (this.#closing !== undefined) throw new SluiceError('closed', 'the consumer is closed')
    await this.#commits.commit(positions)
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
    const { topicName, groupName, positions, logger, group, metrics, client } = this.#options
    const { partitions } = session
    await this.#checkShare(partitions)
    const log = await client.topicId(topicName)
    const [committed, bounds] = await Promise.all([
      partitions.length === 0 ? new Map<number, Committed>() : positions.committed(topicName, groupName, partitions),
      positions.bounds(topicName, partitions),
    ])
    if (this.#hasJoined) metrics.rebalanced(group)
    this.#session = session
    this.#log = log
    logger.info({ group, partitions, generation: session.generation }, 'partitions of the group assigned')
    for (const partition of partitions) {
      const { start, end } = bounds.get(partition) ?? { start: 0, end: 0 }
      await this.#begin(partition, { start, end }, committed.get(partition))
    }
    this.#hasJoined = true
    this.#joined.resolve()
  }

  async #begin(
    partition: number,
    { start, end }: { readonly start: number; readonly end: number },
    known: Committed | undefined,
  ): Promise<void> {
    const { feeds, topicName: topic, onAssigned, partitioning } = this.#options
    const id = this.#log
    const isOther = known?.log !== undefined && id !== undefined && known.log !== id
    // Reading again what was stored changes nothing; skipping what was not would lose it.
    const isValid = known !== undefined && !isOther && known.offset <= end
    const note = isValid ? known.note : known === undefined ? noteBehind(partitioning.now, partition) : undefined
    onAssigned?.({ partition, log: id ?? '', end, isNew: known === undefined, note })
    this.#commits.begin(partition, isValid ? known.offset : -1)
    // A group without a position in this log begins at the first record that is kept, never at the end.
    const offset = isValid ? Math.max(known.offset, start) : start
    if (known !== undefined && (!isValid || known.offset < start)) {
      // Of one that is gone only what it held at the last commit is known.
      const lost = isValid ? start - known.offset : Math.max(0, (known.end ?? 0) - known.offset)
      const reason = isValid ? 'retention' : 'replaced'
      const places = { partition, log: known.log ?? id ?? '', from: known.offset, next: start }
      await this.#gap({ reason, lost, ...places, beforeMs: known.ms })
    }
    const abort = new AbortController()
    const onOutOfRange = (at: number) => this.#relocate(partition, at)
    const open = (from: number): Feed => feeds.open({ topic, id, partition, offset: from, onOutOfRange })
    const reader = new PartitionReader(open, offset)
    this.#owned.set(partition, { abort, reader, loop: this.#run(partition, reader, abort) })
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
        this.#commits.end(partition)
        this.#options.onRevoked?.(partition)
      }),
    )
  }

  async #run(partition: number, reader: PartitionReader, { signal }: AbortController): Promise<void> {
    const { topic, maxRecords, partitioning, onBatch, onStuck } = this.#options
    const log = this.#log ?? ''
    try {
      while (!signal.aborted) {
        const run = await reader.next(maxRecords, signal, (error) => onStuck?.(partition, error))
        if (run === undefined) continue
        for await (const part of readableParts({ topic, log, partition, ...run }, partitioning, signal)) {
          await onBatch(part, signal)
        }
      }
    } catch (error) {
      // What fails after it was told to stop did not fail.
      if (!signal.aborted) this.#stop(toSluiceError(error))
    }
    reader.close()
  }

  /** Whoever shares the partitions out may know of new ones before us, and where reading begins in them. */
  async #checkShare(partitions: readonly number[]): Promise<void> {
    const { partitioning, topicName } = this.#options
    const isNew = () => partitions.some((partition) => partition >= readFrom(partitioning.now))
    if (isNew()) await partitioning.refresh()
    if (isNew()) throw new SluiceError('log_unavailable', `partitions of ${topicName} are not taken in yet`)
  }

  /** Where to go on when the next offset is not in the log: retention passed it, or the topic was cut or made anew. */
  async #relocate(partition: number, offset: number): Promise<number> {
    const { positions, topicName, client } = this.#options
    const id = await client.topicId(topicName)
    const bounds = (await positions.bounds(topicName, [partition])).get(partition) ?? { start: 0, end: 0 }
    if (id !== this.#log || offset > bounds.end) {
      const what = id === this.#log ? 'ends before what was read of it' : 'was deleted and made again'
      const error = new SluiceError('log_unavailable', `topic ${topicName} ${what}`)
      // Positions begin anew with the next consumer, which is told where.
      this.#stop(error)
      throw error
    }
    if (offset >= bounds.start) return offset
    const places = { partition, log: id ?? '', from: offset, next: bounds.start }
    await this.#gap({ reason: 'retention', lost: bounds.start - offset, ...places, beforeMs: undefined })
    return bounds.start
  }

  /** Tells of a gap, and when the records in it were received. */
  async #gap(gap: Omit<LogGap, 'behindMs'>): Promise<void> {
    const { onGap, logger, group, positions, topicName } = this.#options
    const { partition, next } = gap
    const behindMs = await positions.receiveMs(topicName, partition, next).catch((error: unknown) => {
      logger.debug({ err: error, partition }, 'the time of the first record behind a gap is unknown')
      return undefined
    })
    logger.debug({ group, ...gap }, 'the next record to read is no longer in the log')
    onGap?.({ ...gap, behindMs })
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
