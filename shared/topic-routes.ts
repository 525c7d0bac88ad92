import { crc32 } from 'node:zlib'
import type { Explanation } from './acl.ts'
import type { ErrorCode } from './errors.ts'
import type { DeviceNames } from './registry/names-port.ts'
import type { Policies } from './registry/policies-port.ts'
import type { Principal } from './registry/port.ts'
import { faultOfBounds, isReserved, isTopicName } from './topic-filter.ts'
import { headersOf, headersOfSeveral, HeaderSet, keyOfLogin } from './record.ts'
import type { Watches } from './registry/watches-port.ts'
import { deviceKey, faultOfTopic, parseTelemetryTopic, parseTenantTopic, whyUnknown } from './topics.ts'

/** What routes take of the registry; verdicts that are kept are kept for one epoch of it. */
export interface RouteRegistry {
  readonly names: DeviceNames
  readonly policies: Pick<Policies, 'revisionOf'>
  readonly watches: Pick<Watches, 'untilMs'>
}

/** What a login may publish, by the rules in force for it. */
export interface PublishRules {
  canPublish(principal: Principal, topic: string): boolean
  /** Why. */
  explain(principal: Principal, action: 'publish', topic: string): Pick<Explanation, 'reason'>
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
  /** When the watch of the device ends, in ms since 1970; 0 where there is none. */
  readonly watchedUntilMs: number
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
export function createRouter(authorizer: PublishRules, { names, policies, watches }: RouteRegistry): Router {
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
      const watchedUntilMs = watches.untilMs(tenant, uid)
      return { lane: 'telemetry', topic, key, headers, topicSum: crc32(topic), isOfSeveral: false, watchedUntilMs }
    }
    const tenant = parseTenantTopic(topic)
    if (tenant !== undefined) {
      const headers = new HeaderSet(headersOfSeveral(tenant, topic, policies, principal.name))
      const key = keyOfLogin(tenant, principal.name)
      return { lane: 'telemetry', topic, key, headers, topicSum: crc32(topic), isOfSeveral: true, watchedUntilMs: 0 }
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
