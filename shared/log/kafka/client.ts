import type { Socket } from 'node:net'
import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { ClientOptions } from './client-options.ts'
import { isStaleMetadata, KafkaCode, partitionError, toLogError } from './kafka-error.ts'
import { type Broker, type Cluster, createCluster, type Request } from './kafkajs-internals.ts'
import { type RequestTold, timeRequests } from './timed-requests.ts'
import { answerOf, giveUpHanging } from './unanswering.ts'
import { ApiKey, METADATA_WITH_IDS, topicIdRequest } from './topic-requests.ts'

/** Metadata is not asked for more often than this, however many partitions have lost their leader. */
const REFRESH_EVERY_MS = 50

/** Connections of one purpose, with the leaders of the log's topics. Methods reject with a SluiceError. */
export class KafkaClient {
  readonly #cluster: Cluster
  readonly #sockets: Set<Socket>
  readonly #topics: readonly string[]
  readonly #ending = new AbortController()
  #started: Promise<void> | undefined
  #refreshing: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(options: ClientOptions, topics: readonly string[], logger: Logger, told?: RequestTold) {
    const { cluster, sockets } = createCluster(options, logger, this.#ending.signal)
    giveUpHanging(cluster.brokerPool)
    if (told !== undefined) timeRequests(cluster.brokerPool, told)
    this.#cluster = cluster
    this.#sockets = sockets
    this.#topics = topics
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** The node that leads a partition as far as is known. */
  async leaderOf(topic: string, partition: number): Promise<number> {
    await this.#start()
    const found = this.#cluster.findTopicPartitionMetadata(topic).find(({ partitionId }) => partitionId === partition)
    if (found === undefined || found.leader < 0) {
      throw new SluiceError('log_unavailable', `partition ${partition} of ${topic} has no leader`)
    }
    return found.leader
  }

  /** Partitions by the node that leads them; a partition without a known leader is left out. */
  async byLeader<T extends { readonly partition: number }>(
    topic: string,
    items: Iterable<T>,
  ): Promise<ReadonlyMap<number, readonly T[]>> {
    await this.#start()
    const leaders = new Map<number, number>()
    for (const { partitionId, leader } of this.#cluster.findTopicPartitionMetadata(topic))
      leaders.set(partitionId, leader)
    const groups = new Map<number, T[]>()
    for (const item of items) {
      const leader = leaders.get(item.partition)
      if (leader === undefined || leader < 0) continue
      const group = groups.get(leader)
      if (group === undefined) groups.set(leader, [item])
      else group.push(item)
    }
    return groups
  }

  /** The id of a topic, which a topic that is made anew has another of; undefined where the broker gives it none. */
  async topicId(topic: string): Promise<string | undefined> {
    return this.#guarded(async () => {
      await this.#start()
      let failure: unknown = new SluiceError('log_unavailable', 'no broker is known')
      for (const nodeId of Object.keys(this.#cluster.brokerPool.brokers).map(Number)) {
        try {
          if ((await this.maxVersion(nodeId, ApiKey.metadata)) < METADATA_WITH_IDS) return undefined
          const { code, id } = await this.send(nodeId, topicIdRequest(topic))
          if (code === KafkaCode.none) return id
          failure = partitionError(code, `a question about topic ${topic}`)
        } catch (error) {
          failure = error
        }
      }
      throw failure
    })
  }

  /** The newest version of a request that a node knows. */
  async maxVersion(nodeId: number, apiKey: number): Promise<number> {
    await this.#start()
    return (await this.#cluster.findBroker({ nodeId })).versions?.[apiKey]?.maxVersion ?? 0
  }

  /** Sends a request to a node, which is given up with its connections when it does not answer in time. */
  async send<T>(nodeId: number, request: Request<T>): Promise<T> {
    return this.#guarded(async () => {
      await this.#start()
      const broker = await this.#cluster.findBroker({ nodeId })
      return answerOf(this.#cluster.brokerPool, broker, broker.connectionPool.send(request))
    })
  }

  /** Runs requests of a group at its coordinator. */
  async atCoordinator<T>(groupId: string, run: (broker: Broker) => Promise<T>): Promise<T> {
    return this.#guarded(async () => {
      await this.#start()
      const broker = await this.#cluster.findGroupCoordinator({ groupId })
      return answerOf(this.#cluster.brokerPool, broker, run(broker))
    })
  }

  /** Asks for the leaders anew. Callers at the same time share one request; failing is left to the request that follows. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh()
    await this.#refreshing
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #start(): Promise<void> {
    if (this.closed) throw new SluiceError('closed', 'the log is closed')
    this.#started ??= this.#connect()
    await this.#started
  }

  async #connect(): Promise<void> {
    try {
      await this.#cluster.connect()
      await this.#cluster.addMultipleTargetTopics(this.#topics)
    } catch (error) {
      this.#started = undefined
      throw toLogError(error)
    }
  }

  async #refresh(): Promise<void> {
    try {
      await this.#start()
      await new Promise((resolve) => setTimeout(resolve, REFRESH_EVERY_MS))
      await this.#cluster.refreshMetadata()
    } catch (error) {
      // The next request says what is wrong, if it still is.
      if (this.closed) throw new SluiceError('closed', 'the log is closed', { cause: error })
    } finally {
      this.#refreshing = undefined
    }
  }

  async #guarded<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      if (this.closed) throw new SluiceError('closed', 'the log is closed', { cause: error })
      if (isStaleMetadata(error)) await this.refresh()
      throw toLogError(error)
    }
  }

  async #close(): Promise<void> {
    this.#ending.abort()
    const { brokers, seedBroker } = this.#cluster.brokerPool
    const all = [...Object.values(brokers), ...(seedBroker === undefined ? [] : [seedBroker])]
    // It would wait for every answer; a broker that hangs must not keep the process.
    const closed = new SluiceError('closed', 'the log is closed')
    for (const { connectionPool } of all)
      for (const connection of connectionPool.pool) connection.rejectRequests(closed)
    await this.#cluster.disconnect()
    // Those of a broker that was dropped, too. Only an error makes kafkajs end what it keeps of a connection, such as a timer.
    for (const socket of this.#sockets) socket.destroy(closed)
  }
}
