import { BACKOFF, backoffMs, pause } from '../../backoff.ts'
import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { KafkaClient } from './client.ts'
import { Feed, type FeedOptions } from './feed.ts'
import { KafkaCode, partitionError } from './kafka-error.ts'
import type { KafkaMetrics } from './metrics.ts'
import { type FetchOptions, type FetchResult, fetchRequest } from './requests.ts'
import { ApiKey, FETCH_BY_ID, fetchByIdRequest, type PlaceById } from './topic-requests.ts'

/** Bytes of one partition in one answer, and of one answer; a single larger batch comes all the same. */
const PARTITION_BYTES = 1024 * 1024
const ANSWER_BYTES = 8 * 1024 * 1024
/** An answer of so many bytes is worth its request. */
const WORTHWHILE_BYTES = 64 * 1024

/** The place that was asked for is not there. */
const LOST: ReadonlySet<number> = new Set([
  KafkaCode.offsetOutOfRange,
  KafkaCode.unknownTopicId,
  KafkaCode.inconsistentTopicId,
])

interface FeedsOptions {
  readonly client: KafkaClient
  readonly maxWaitMs: number
  /**
   * Least time between two requests to a node while answers are small: under a steady load Kafka answers after every
   * append, and the requests cost both sides more than the records.
   */
  readonly paceMs: number
  readonly logger: Logger
  readonly metrics: KafkaMetrics
}

/** Partitions that are read over the connections of one client: one fetch in flight per broker, for all that have room. */
export class Feeds {
  readonly #options: FeedsOptions
  readonly #feeds = new Set<Feed>()
  /** Nodes that a loop fetches from. */
  readonly #running = new Map<number, Promise<void>>()
  #dispatching: Promise<void> | undefined
  /** Something changed since the last look at all feeds. */
  #isWoken = false
  #isClosed = false
  /** When the last answer came, in ms of `performance.now()`. */
  lastAnswerMs = performance.now()

  constructor(options: FeedsOptions) {
    this.#options = options
  }

  /** No partition has room: nothing is asked for until what is there is taken. */
  get isFull(): boolean {
    return ![...this.#feeds].some((feed) => feed.hasRoom)
  }

  open(options: FeedOptions): Feed {
    const feed = new Feed(options, {
      wake: () => this.#wake(),
      closed: (own) => this.#feeds.delete(own),
    })
    this.#feeds.add(feed)
    if (this.#isClosed) feed.fail(new SluiceError('closed', 'the log is closed'))
    this.#wake()
    return feed
  }

  /** Ends all feeds; resolves when no loop runs. The client must be closed before, which ends what is in flight. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const feed of this.#feeds) feed.fail(new SluiceError('closed', 'the log is closed'))
    await this.#dispatching
    await Promise.all(this.#running.values())
  }

  #wake(): void {
    this.#isWoken = true
    if (!this.#isClosed) this.#dispatching ??= this.#dispatch()
  }

  /** Starts a loop for each node that leads a partition with room and has none. Never rejects. */
  async #dispatch(): Promise<void> {
    await Promise.resolve()
    while (this.#isWoken && !this.#isClosed) {
      this.#isWoken = false
      let isPending = false
      const wanted = [...this.#feeds].filter((feed) => feed.hasRoom)
      for (const feed of wanted) {
        const leader = await this.#leaderOf(feed)
        if (leader === undefined) isPending = true
        else if (!this.#running.has(leader)) this.#running.set(leader, this.#run(leader))
      }
      if (!isPending) continue
      await this.#recover()
      this.#isWoken = true
    }
    this.#dispatching = undefined
  }

  async #leaderOf({ topic, partition }: Feed): Promise<number | undefined> {
    try {
      return await this.#options.client.leaderOf(topic, partition)
    } catch (error) {
      this.#options.logger.debug({ err: error, topic, partition }, 'no leader to read from')
      return undefined
    }
  }

  async #run(node: number): Promise<void> {
    for (let goesOn = true; goesOn && !this.#isClosed;) goesOn = await this.#fetch(node)
    this.#running.delete(node)
    // What got room in the meantime, or is led by another node now.
    if ([...this.#feeds].some((feed) => feed.hasRoom)) this.#wake()
  }

  /** Returns false when nothing is to be fetched from the node. */
  async #fetch(node: number): Promise<boolean> {
    const { maxWaitMs, paceMs, metrics } = this.#options
    const wanted: Feed[] = []
    for (const feed of this.#feeds) if (feed.hasRoom && (await this.#leaderOf(feed)) === node) wanted.push(feed)
    if (wanted.length === 0) return false
    const startedMs = performance.now()
    try {
      const limits = { maxWaitMs, maxBytes: ANSWER_BYTES, partitionBytes: PARTITION_BYTES }
      // Whoever comes first may fill the answer: the order changes with every request.
      const first = wanted.shift()
      if (first !== undefined) {
        wanted.push(first)
        this.#feeds.delete(first)
        this.#feeds.add(first)
      }
      const results = await this.#ask(node, wanted, limits)
      this.lastAnswerMs = performance.now()
      const { bytes, records, isStale } = await this.#deliver(wanted, results)
      metrics.fetched(bytes, records, (performance.now() - startedMs) / 1000)
      if (isStale) await this.#recover()
      const restMs = bytes < WORTHWHILE_BYTES ? paceMs - (performance.now() - startedMs) : 0
      if (restMs > 0) await pause(restMs)
    } catch (error) {
      if (this.#isClosed) return false
      metrics.fetchFailed()
      this.#options.logger.debug({ err: error, node }, 'a fetch failed')
      await this.#recover()
    }
    return true
  }

  /** By the id of the topic where it is known to us and to the node. */
  async #ask(node: number, wanted: readonly Feed[], limits: FetchOptions): Promise<FetchResult[]> {
    const { client } = this.#options
    const places = merged(wanted)
    const named = places.filter((place): place is PlaceById => place.id !== undefined)
    const isById = named.length === places.length && (await client.maxVersion(node, ApiKey.fetch)) >= FETCH_BY_ID
    return client.send(node, isById ? fetchByIdRequest(named, limits) : fetchRequest(places, limits))
  }

  async #deliver(
    wanted: readonly Feed[],
    results: readonly FetchResult[],
  ): Promise<{ bytes: number; records: number; isStale: boolean }> {
    let bytes = 0
    let records = 0
    let isStale = false
    for (const result of results) {
      bytes += result.bytes.length
      for (const feed of wanted) {
        if (feed.topic !== result.topic || feed.partition !== result.partition) continue
        if (result.code === KafkaCode.none) {
          feed.end = result.end
          records += feed.take(result.bytes)
        } else if (LOST.has(result.code)) {
          await feed.relocate()
          isStale ||= result.code !== KafkaCode.offsetOutOfRange
        } else isStale = this.#refuse(feed, result.code) || isStale
      }
    }
    return { bytes, records, isStale }
  }

  /** Returns whether asking again can help. */
  #refuse(feed: Feed, code: number): boolean {
    const error = partitionError(code, `a fetch of partition ${feed.partition} of ${feed.topic}`)
    if (!error.canRetry) feed.fail(error)
    return error.canRetry
  }

  async #recover(): Promise<void> {
    if (this.#isClosed) return
    await pause(backoffMs(BACKOFF.fetch, 1))
    await this.#options.client.refresh().catch((error: unknown) => {
      this.#options.logger.debug({ err: error }, 'metadata request failed')
    })
  }
}

/** A partition may be in a request once: of several readers of it the one furthest behind decides. */
function merged(feeds: readonly Feed[]): (Omit<PlaceById, 'id'> & { id: string | undefined })[] {
  const requests = new Map<string, Omit<PlaceById, 'id'> & { id: string | undefined }>()
  for (const { topic, id, partition, position } of feeds) {
    const key = `${topic} ${partition}`
    const offset = Math.min(position, requests.get(key)?.offset ?? position)
    requests.set(key, { topic, id, partition, offset })
  }
  return [...requests.values()]
}
