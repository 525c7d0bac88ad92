// Invariant: a node that left a question open is never asked again over what kafkajs keeps of it. Its object is thrown
// away with its sockets, and the next one begins with a connection of its own.
import { SluiceError } from '../../errors.ts'
import type { Broker, Cluster } from './kafkajs-internals.ts'

/** A connection is made, the versions are asked for, and the login is done; each of them has at most 10 s. */
const CONNECT_LIMIT_MS = 25_000
/** Behind the longest answer that is waited for: a join waits for the other members, and kafkajs ends each request itself. */
const ANSWER_LIMIT_MS = 60_000

const LATE = new Error('no answer')
/** What says that a node, or what kafkajs keeps of it, hangs; one that refuses connections is found again by itself. */
const HANGS: ReadonlySet<string> = new Set(['KafkaJSRequestTimeoutError', 'KafkaJSLockTimeout'])

/**
 * Makes every node of a cluster one that is given up when it hangs. A broker that is frozen (SIGSTOP, a paused VM) accepts
 * connections and answers nothing: kafkajs would keep such a connection as a good one without knowing any request, and a
 * login that is never answered would hold its lock for ever.
 */
export function giveUpHanging(pool: Cluster['brokerPool']): void {
  const make = pool.createBroker
  pool.createBroker = (options) => {
    const broker = make(options)
    const connect = broker.connect.bind(broker)
    const metadata = broker.metadata.bind(broker)
    broker.connect = () => orGivenUp(pool, broker, connect(), CONNECT_LIMIT_MS)
    broker.metadata = (topics) => orGivenUp(pool, broker, metadata(topics), ANSWER_LIMIT_MS)
    return broker
  }
}

/** What the node answers. It is given up when it does not, or when its connection breaks. */
export function answerOf<T>(pool: Cluster['brokerPool'], broker: Broker, question: Promise<T>): Promise<T> {
  return orGivenUp(pool, broker, question, ANSWER_LIMIT_MS, (name) => name.startsWith('KafkaJSConnection'))
}

async function orGivenUp<T>(
  pool: Cluster['brokerPool'],
  broker: Broker,
  question: Promise<T>,
  limitMs: number,
  isBroken: (name: string) => boolean = () => false,
): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(LATE), limitMs)
  try {
    return await Promise.race([question, late.promise])
  } catch (error) {
    const { name } = error as Error
    const hangs = error === LATE || HANGS.has(name)
    if (!hangs && !isBroken(name)) throw error
    giveUp(pool, broker, error)
    if (!hangs) throw error
    // Not as kafkajs has it: it would ask the object again that is thrown away.
    const { host, port } = broker.connectionPool
    throw new SluiceError('log_unavailable', `Kafka at ${host}:${port} does not answer`, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

/** Once: of two questions that failed together the second must not end the connections that came after the first. */
function giveUp(pool: Cluster['brokerPool'], broker: Broker, reason: unknown): void {
  const { nodeId, connectionPool } = broker
  if (pool.brokers[nodeId] === broker) delete pool.brokers[nodeId]
  // The next question asks for metadata first.
  pool.metadataExpireAt = null
  if (pool.seedBroker === broker) void replaceSeed(pool, broker)
  // kafkajs forgets them, open as they are: they would stay until the broker ends them.
  for (const { socket } of connectionPool.pool)
    socket?.destroy(new Error('the connection to the broker was abandoned', { cause: reason }))
}

/** By the next of the addresses that are configured. */
async function replaceSeed(pool: Cluster['brokerPool'], old: Broker): Promise<void> {
  const connectionPool = await pool.connectionPoolBuilder.build()
  if (pool.seedBroker === old) pool.seedBroker = pool.createBroker({ connectionPool, logger: pool.rootLogger })
}
