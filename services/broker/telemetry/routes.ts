import { crc32 } from 'node:zlib'
import { faultOfBounds, isReserved, isTopicName } from '../../../shared/topic-filter.ts'
import type { ErrorCode } from '../../../shared/errors.ts'
import type { DeviceNames } from '../../../shared/registry/names-port.ts'
import type { Policies } from '../../../shared/registry/policies-port.ts'
import type { Principal } from '../../../shared/registry/port.ts'
import { headersOf, headersOfSeveral, HeaderSet, keyOfLogin } from '../../../shared/record.ts'
import { deviceKey, faultOfTopic, parseTelemetryTopic, parseTenantTopic, whyUnknown } from '../../../shared/topics.ts'
import type { Authorizer } from '../access/authorize.ts'

/** What routes take of the registry; verdicts that are kept are kept for one epoch of it. */
export interface RouteRegistry {
  readonly names: DeviceNames
  readonly policies: Pick<Policies, 'revisionOf'>
}

/** Where the messages of one topic of one login go. Everything that is the same for all of them is computed here, once. */
export type Route = TelemetryRoute | BrokerRoute | RefusedRoute

export interface TelemetryRoute {
  readonly lane: 'telemetry'
  readonly topic: string
  /** Record key, see `LogRecord`. */
  readonly key: string
  readonly headers: HeaderSet
  /** CRC-32 of the topic, which the digest of a message begins with. */
  readonly topicSum: number
  /** The payload holds several devices, whose readings are one message of this login until they are decoded. */
  readonly isOfSeveral: boolean
}

/** To aedes: sessions, retained messages and subscribers. */
export interface BrokerRoute {
  readonly lane: 'aedes'
  readonly topic: string
}

/** Acknowledged and dropped (or closed, see REFUSED_PUBLISH). */
export interface RefusedRoute {
  readonly lane: 'refused'
  readonly topic: string
  readonly code: ErrorCode
  readonly detail: string
}

/** Decides over one topic of one login. `topic` is valid UTF-8 without control characters, wildcards, and not empty. */
export type Router = (principal: Principal, topic: string) => Route

/** What lies below `t/{tenant}/{device}/`; anything else there is most likely a typing error in `telemetry`. */
const KINDS = new Set(['status', 'cmd', 'notice'])

/** The two lanes of the design: telemetry to the log, the rest to aedes. */
export function createRouter(
  authorizer: Pick<Authorizer, 'canPublish' | 'explain'>,
  { names, policies }: RouteRegistry,
): Router {
  return (principal, topic) => {
    const refuse = (code: ErrorCode, detail: string): RefusedRoute => ({ lane: 'refused', topic, code, detail })
    if (isReserved(topic))
      return refuse(
        'topic_reserved',
        `level 1 is ${JSON.stringify(topic.split('/', 1)[0]?.slice(0, 128))}, which begins with $`,
      )
    if (!isTopicName(topic)) {
      return refuse('topic_invalid', faultOfBounds(topic) ?? 'the topic has a wildcard or a control character')
    }
    // Before the rules, which would only say that such a topic is not one's own.
    const fault = faultOfTopic(topic)
    if (fault !== undefined) return refuse(fault.code, fault.detail)
    if (!authorizer.canPublish(principal, topic)) {
      return refuse('not_authorised', authorizer.explain(principal, 'publish', topic).reason)
    }
    const telemetry = parseTelemetryTopic(topic)
    if (telemetry !== undefined) {
      const { tenant, device } = telemetry
      // Devices publish for themselves only.
      const isOwn = principal.kind === 'device'
      const uid = isOwn ? principal.uid : names.uidOf(tenant, device)
      const headers = new HeaderSet(headersOf(telemetry, uid, topic, policies, isOwn ? undefined : principal.name))
      const key = deviceKey(tenant, uid)
      return { lane: 'telemetry', topic, key, headers, topicSum: crc32(topic), isOfSeveral: false }
    }
    const tenant = parseTenantTopic(topic)
    if (tenant !== undefined) {
      const headers = new HeaderSet(headersOfSeveral(tenant, topic, policies, principal.name))
      const key = keyOfLogin(tenant, principal.name)
      return { lane: 'telemetry', topic, key, headers, topicSum: crc32(topic), isOfSeveral: true }
    }
    if (isUnknownBelowDevice(topic)) return refuse('topic_unknown', whyUnknown(topic))
    return { lane: 'aedes', topic }
  }
}

/** `t/` is the namespace of devices: a topic there that is none of theirs would be lost without a word. */
function isUnknownBelowDevice(topic: string): boolean {
  const [root, , , kind] = topic.split('/', 5)
  return root === 't' && (kind === undefined || !KINDS.has(kind))
}

/** Streams of one device that are used in turn; more of them only cost a look-up each. */
const REMEMBERED = 8

interface Remembered {
  readonly bytes: Uint8Array
  readonly route: Route
}

/**
 * The routes of one connection's last topics, found by the bytes of the topic as they stand in the packet, so that the
 * usual PUBLISH makes no string. Newest use first; verdicts are kept for one epoch of the rules.
 */
export class RouteCache {
  #entries: Remembered[] = []
  #epoch = -1

  /** The route of the topic in `buffer` from `start` to `end`, or undefined when it must be looked up and `add`ed. */
  find(buffer: Uint8Array, start: number, end: number, epoch: number): Route | undefined {
    if (this.#epoch !== epoch) {
      this.#entries = []
      this.#epoch = epoch
      return undefined
    }
    const entries = this.#entries
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index]
      if (entry !== undefined && sameBytes(entry.bytes, buffer, start, end)) {
        if (index > 0) entries.unshift(...entries.splice(index, 1))
        return entry.route
      }
    }
    return undefined
  }

  add(bytes: Uint8Array, route: Route): void {
    this.#entries.unshift({ bytes, route })
    if (this.#entries.length > REMEMBERED) this.#entries.pop()
  }
}

/** From the end: topics of one device differ there. */
function sameBytes(bytes: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
  let index = bytes.length
  if (index !== end - start) return false
  while (--index >= 0) if (bytes[index] !== buffer[start + index]) return false
  return true
}
