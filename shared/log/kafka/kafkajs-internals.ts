import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { type Admin, Kafka } from 'kafkajs'
import type { Logger } from '../../process/logger.ts'
import { openSocket, seedOf, type SocketTarget } from './broker-socket.ts'
import { toSasl, toTls, type ClientOptions } from './client-options.ts'

/**
 * What Sluice uses of kafkajs below its public interface, typed: connections with TLS and SASL, metadata, and the requests
 * of groups. Its producer and consumer are not used: the one resolves with records lost when a leader moves, the other
 * resets offsets by itself and lets one slow partition stop all of a broker. The version is pinned exactly because of
 * this file, and nothing else in Sluice may import kafkajs from below its root.
 */

/** One request and how its answer is read; what `Connection.send` takes. */
export interface Request<T> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    readonly encode: () => Promise<Encoder>
  }
  readonly response: {
    readonly decode: (payload: Buffer) => Promise<T>
    readonly parse: (decoded: T) => Promise<T>
  }
  readonly requestTimeout?: number
}

/** Writes the body of a request; grows by itself. */
export interface Encoder {
  readonly buffer: Buffer
  writeInt8(value: number): Encoder
  writeInt16(value: number): Encoder
  writeInt32(value: number): Encoder
  writeInt64(value: bigint | number): Encoder
  writeString(value: string | null): Encoder
  writeBytes(value: Buffer): Encoder
  writeBuffer(value: Buffer): Encoder
  writeUVarInt(value: number): Encoder
  writeUVarIntString(value: string): Encoder
}

interface Connection {
  /** The last one, open or not. */
  readonly socket?: Socket
  isConnected(): boolean
  rejectRequests(error: Error): void
}

interface ConnectionPool {
  readonly host: string
  readonly port: number
  readonly pool: readonly Connection[]
  send: <T>(request: Request<T>) => Promise<T>
}

interface TopicPartitions<P> {
  readonly topic: string
  readonly partitions: readonly P[]
}

export interface JoinedGroup {
  readonly generationId: number
  readonly leaderId: string
  readonly memberId: string
  readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
}

export interface Broker {
  readonly nodeId: number
  /** Versions that it knows, by the key of the request. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null
  readonly connectionPool: ConnectionPool
  connect(): Promise<void>
  metadata(topics: readonly string[]): Promise<unknown>
  joinGroup(options: {
    groupId: string
    sessionTimeout: number
    rebalanceTimeout: number
    memberId: string
    groupProtocols: readonly { name: string; metadata: Buffer }[]
  }): Promise<JoinedGroup>
  syncGroup(options: {
    groupId: string
    generationId: number
    memberId: string
    groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[]
  }): Promise<{ memberAssignment: Buffer }>
  heartbeat(options: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>
  describeGroups(options: { groupIds: readonly string[] }): Promise<{
    groups: readonly {
      readonly members: readonly {
        memberId: string
        clientHost: string
        memberMetadata: Buffer
        memberAssignment: Buffer
      }[]
    }[]
  }>
  leaveGroup(options: { groupId: string; memberId: string }): Promise<unknown>
  offsetCommit(options: {
    groupId: string
    groupGenerationId: number
    memberId: string
    topics: readonly TopicPartitions<{ partition: number; offset: string; metadata: string | null }>[]
  }): Promise<unknown>
  offsetFetch(options: {
    groupId: string
    topics: readonly TopicPartitions<{ partition: number }>[]
  }): Promise<{ responses: readonly TopicPartitions<{ partition: number; offset: string; metadata: string | null }>[] }>
}

/** The nodes that are known, by their ids, and the one that metadata is asked of first. */
interface BrokerPool {
  readonly brokers: Record<string, Broker>
  seedBroker: Broker | undefined
  metadataExpireAt: number | null
  readonly rootLogger: KafkajsLogger
  readonly connectionPoolBuilder: { build: (address?: object) => Promise<ConnectionPool> }
  createBroker: (options: { connectionPool: ConnectionPool; logger: KafkajsLogger }) => Broker
}

export interface Cluster {
  readonly brokerPool: BrokerPool
  connect(): Promise<void>
  disconnect(): Promise<void>
  isConnected(): boolean
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  refreshMetadata(): Promise<void>
  findBroker(options: { nodeId: number }): Promise<Broker>
  findGroupCoordinator(options: { groupId: string }): Promise<Broker>
  findTopicPartitionMetadata(topic: string): readonly { partitionId: number; leader: number }[]
}

interface KafkajsLogger {
  namespace(name: string): KafkajsLogger
}

interface KafkajsEntry {
  readonly level: number
  readonly namespace?: string
  readonly log: { readonly message: string; readonly [field: string]: unknown }
}

const require = createRequire(import.meta.url)

// Untyped modules: these casts are where their shapes are asserted, as read in 2.2.4.
const ClusterOfKafkajs = require('kafkajs/src/cluster') as new (options: object) => Cluster
const EncoderOfKafkajs = require('kafkajs/src/protocol/encoder') as new () => Encoder
const loggers = require('kafkajs/src/loggers') as {
  createLogger(options: { level: number; logCreator: () => (entry: KafkajsEntry) => void }): KafkajsLogger
}
const RequestQueue = require('kafkajs/src/network/requestQueue') as {
  prototype: { scheduleCheckPendingRequests: (this: PendingRequests) => void }
}

const ERROR = 1
const WARN = 2

/** A broker that accepts connections and does not answer is given up after this; then its partitions are looked for anew. */
export const REQUEST_TIMEOUT_MS = 10_000
const CONNECTION_TIMEOUT_MS = 3_000
/** Whoever asks repeats by itself, with a bound and in order. */
const RETRY = { retries: 1, initialRetryTime: 50, maxRetryTime: 200 }

/** The public part of kafkajs that is used, over the same connections; those that are open are in `sockets`. */
export function createAdmin(options: ClientOptions, logger: Logger, sockets: Set<Socket>): Admin {
  RequestQueue.prototype.scheduleCheckPendingRequests = scheduleCheckPendingRequests
  const { brokers, clientId, sasl } = options
  const kafka = new Kafka({
    brokers: brokers.map(seedOf),
    clientId,
    ssl: options.ssl !== undefined && options.ssl !== false,
    ...(sasl === undefined ? {} : { sasl: toSasl(sasl) }),
    socketFactory: (target) => openSocket({ ...target, ssl: toTls(options) }, sockets),
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    logLevel: WARN,
    logCreator: () => (entry) => forward(entry, logger),
    retry: RETRY,
  })
  return kafka.admin()
}

export function createEncoder(): Encoder {
  return new EncoderOfKafkajs()
}

/**
 * Connections to all brokers of a cluster, two per broker: one for fetches, which may wait, and one for the rest. Once
 * `closed` is aborted none is made any more: what is under way then would try again, and nobody would end that one.
 */
export function createCluster(
  options: ClientOptions,
  logger: Logger,
  closed: AbortSignal,
): { cluster: Cluster; sockets: Set<Socket> } {
  RequestQueue.prototype.scheduleCheckPendingRequests = scheduleCheckPendingRequests
  const sockets = new Set<Socket>()
  const cluster = new ClusterOfKafkajs({
    brokers: options.brokers.map(seedOf),
    clientId: options.clientId,
    sasl: options.sasl === undefined ? null : toSasl(options.sasl),
    logger: loggers.createLogger({ level: WARN, logCreator: () => (entry) => forward(entry, logger) }),
    socketFactory(target: SocketTarget) {
      const socket = openSocket({ ...target, ssl: toTls(options) }, sockets)
      if (closed.aborted) socket.destroy(new Error('the log is closed'))
      return socket
    },
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    enforceRequestTimeout: true,
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
    maxInFlightRequests: null,
    retry: RETRY,
  })
  return { cluster, sockets }
}

/** Its messages are details of what the adapter reports itself: errors and warnings, at `debug`. */
function forward({ level, namespace, log }: KafkajsEntry, logger: Logger): void {
  const { message, stack: _, timestamp: __, ...rest } = log
  logger.debug({ ...rest, kafkajs: namespace, severity: level === ERROR ? 'error' : 'warn' }, message)
}

interface PendingRequests {
  readonly throttledUntil: number
  readonly pending: readonly unknown[]
  throttleCheckTimeoutId: NodeJS.Timeout | null
  checkPendingRequests(): void
}

/**
 * Takes the place of kafkajs' own, which sets a timer of a negative time after every answer (kafkajs#1751): Node 24 and
 * newer print a TimeoutNegativeWarning for it. With nothing pending there is nothing to check.
 */
function scheduleCheckPendingRequests(this: PendingRequests): void {
  if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return
  const waitMs = Math.max(10, this.throttledUntil - Date.now())
  this.throttleCheckTimeoutId = setTimeout(() => {
    this.throttleCheckTimeoutId = null
    this.checkPendingRequests()
  }, waitMs)
}
