import { SluiceError } from '../../errors.ts'
import { isUntrusted } from '../../untrusted.ts'

/** Error codes of the protocol that are told apart. Source: Kafka protocol guide, "Error Codes". */
export const KafkaCode = {
  none: 0,
  offsetOutOfRange: 1,
  messageTooLarge: 10,
  recordListTooLarge: 18,
  topicAuthorizationFailed: 29,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
} as const

const TOO_LARGE: ReadonlySet<number> = new Set([KafkaCode.messageTooLarge, KafkaCode.recordListTooLarge])

/** What a person reads about a code in an answer; the number alone for those without a name here. */
const NAMES: Readonly<Record<number, string>> = {
  [-1]: 'an unknown broker error',
  1: 'offset out of range',
  2: 'a corrupt batch',
  3: 'an unknown topic or partition',
  5: 'no leader',
  6: 'not the leader any more',
  7: 'a replica timeout',
  10: 'a batch above max.message.bytes',
  18: 'a batch above max.message.bytes',
  19: 'too few in-sync replicas',
  20: 'too few in-sync replicas',
  29: 'no authorisation for the topic',
  32: "a timestamp outside of the topic's limits",
  56: 'a disk error on the broker',
  74: 'a fenced leader epoch',
  75: 'an unknown leader epoch',
  78: 'a leader that has just been elected',
  100: 'an unknown topic id',
  103: 'a topic of another id',
}

/** A batch is larger than the topic, or the broker, takes. */
export function isTooLarge(code: number): boolean {
  return TOO_LARGE.has(code)
}

/** The error that stands for a code in an answer about one partition. */
export function partitionError(code: number, what: string): SluiceError {
  const message = `Kafka answered ${NAMES[code] ?? `error ${code}`} to ${what}`
  if (code === KafkaCode.topicAuthorizationFailed) return new SluiceError('log_refused', message)
  return new SluiceError('log_unavailable', message)
}

const DENIED = /AUTHORIZATION_FAILED$|^SASL_AUTHENTICATION|^UNSUPPORTED_SASL|^ILLEGAL_SASL/

/** What Kafka says of a topic that is to be made, or changed, in a way that it does not take. */
const REFUSED_TOPIC =
  /^(POLICY_VIOLATION|INVALID_CONFIG|INVALID_REPLICATION_FACTOR|INVALID_PARTITIONS|INVALID_TOPIC_EXCEPTION|INVALID_REQUEST)$/

const STALE_NAMES = /^KafkaJS(BrokerNotFound|RequestTimeoutError|LockTimeout|Connection)/
const STALE_TYPES: ReadonlySet<string> = new Set(['NOT_COORDINATOR_FOR_GROUP', 'GROUP_COORDINATOR_NOT_AVAILABLE'])

interface KafkajsError extends Error {
  readonly type?: string
  readonly code?: string
  readonly topic?: string
  /** Of a request about several topics: what became of each that failed. */
  readonly errors?: readonly KafkajsError[]
}

/** Anything that kafkajs throws: what only somebody can mend is `log_refused` or `log_topic_refused`, the rest `log_unavailable`. */
export function toLogError(error: unknown): SluiceError {
  const parts = partsOf(error)
  const ours = parts.find((part): part is KafkajsError & SluiceError => part instanceof SluiceError)
  if (ours !== undefined) return ours
  const isDenied = parts.some(
    ({ name, type, code }) => name === 'KafkaJSSASLAuthenticationError' || DENIED.test(type ?? '') || isUntrusted(code),
  )
  const isRefused = parts.some(({ type }) => REFUSED_TOPIC.test(type ?? ''))
  const code = isDenied ? 'log_refused' : isRefused ? 'log_topic_refused' : 'log_unavailable'
  return new SluiceError(code, `Kafka: ${textOf(error)}`, { cause: error })
}

/** Names the topic and the cause of each part; the message of the whole says nothing. */
function textOf(error: unknown): string {
  const [whole, ...rest] = partsOf(error)
  if (whole === undefined) return String(error)
  const about = [whole, ...rest].find(({ errors }) => errors !== undefined)
  if (about?.errors === undefined) return whole.message
  const each = about.errors.map(({ topic, type, message }) => `${topic ?? 'a topic'}: ${type ?? 'error'}, ${message}`)
  return `${about.message}: ${each.join('; ')}`
}

/** The error, those of its parts, and their causes. */
function partsOf(error: unknown): KafkajsError[] {
  const parts: KafkajsError[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const part = at as KafkajsError
    parts.push(part, ...(part.errors ?? []))
  }
  return parts
}

/** Kafka gave this as the cause, of the whole or of a part. Source: Kafka protocol guide, "Error Codes". */
export function isCausedBy(error: unknown, type: string): boolean {
  return partsOf(error).some((part) => part.type === type)
}

/** The protocol's name of an error that kafkajs threw, also from within one of ours. */
export function protocolType(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { type } = at as KafkajsError
    if (typeof type === 'string') return type
  }
  return undefined
}

/** The node is gone or no longer what it was: leaders and coordinators have to be looked up anew. */
export function isStaleMetadata(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (STALE_NAMES.test(at.name) || STALE_TYPES.has((at as KafkajsError).type ?? '')) return true
  }
  return false
}
