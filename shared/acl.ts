import { SluiceError } from './errors.ts'
import type { AclRule, Principal, RuleAction } from './registry/port.ts'
import {
  contains,
  faultOfBounds,
  isReserved,
  isTopicFilter,
  isTopicName,
  matches,
  overlaps,
  unionContains,
} from './topic-filter.ts'
import { parseTenantTopic, topicOfDevice } from './topics.ts'

/**
 * Who may publish and subscribe to what. Pure: the same principal and topic always give the same answer.
 *
 * Devices have fixed rules, the same for all: publish below `t/{tenant}/{device}/` but not `cmd` and `notice` with what
 * lies below them; subscribe to their own `cmd/#` and `notice`. Applications have the rules they were made with.
 * A topic for several devices of a tenant is of whoever may publish the telemetry of every one of them: which ones a
 * message names is known only when it is decoded, far from the login.
 * Everything is denied unless an allow rule allows it, and a deny rule wins over any allow rule, whatever their order.
 * Topics that begin with `$` are denied to everybody.
 */

type Device = Extract<Principal, { kind: 'device' }>

/** Most rules of one application: a verdict looks at each of them. */
export const MAX_RULES = 256

/** Why the answer is what it is: the rule that decided, when one did, and a sentence for a person. */
export interface Explanation {
  readonly allowed: boolean
  readonly rule: AclRule | undefined
  readonly reason: string
}

/** May `principal` publish to `topic`? Invalid and reserved topics: no. */
export function canPublish(principal: Principal, topic: string): boolean {
  if (isReserved(topic) || !isTopicName(topic)) return false
  if (principal.kind === 'application') {
    const tenant = parseTenantTopic(topic)
    if (tenant === undefined) return allowsTopic(principal.rules, 'publish', topic)
    return explainTenant(principal, tenant).allowed
  }
  const kind = belowDevice(principal, topic)
  return kind !== undefined && !isAtOrBelow(kind, 'cmd') && !isAtOrBelow(kind, 'notice')
}

/**
 * May `principal` subscribe to `filter`? Yes when its allow rules together contain everything the filter can match
 * (decided exactly, see {@link unionContains}) and its deny rules together do not: a deny that covers only a part of the
 * filter acts on each message, in {@link canReceive}. Invalid and reserved filters: no.
 */
export function canSubscribe(principal: Principal, filter: string): boolean {
  if (isReserved(filter) || !isTopicFilter(filter)) return false
  const rules = rulesOf(principal)
  return unionContains(filtersOf(rules, 'allow'), filter) && !unionContains(filtersOf(rules, 'deny'), filter)
}

/** May a message of `topic` be delivered to `principal`, whatever it subscribed to? `topic` is a valid topic name. */
export function canReceive(principal: Principal, topic: string): boolean {
  if (isReserved(topic)) return false
  if (principal.kind === 'application') return allowsTopic(principal.rules, 'subscribe', topic)
  const kind = belowDevice(principal, topic)
  return kind !== undefined && (kind === 'notice' || isAtOrBelow(kind, 'cmd'))
}

/**
 * The verdict of {@link canPublish} or {@link canSubscribe} with its reason. Not for hot paths. `rule` is undefined when
 * no single rule decided: nothing allows it, or several rules do together.
 */
export function explain(principal: Principal, action: RuleAction, topicOrFilter: string): Explanation {
  const shown = JSON.stringify(topicOrFilter.slice(0, 128))
  const verdict = (allowed: boolean, reason: string, rule?: AclRule): Explanation => ({ allowed, rule, reason })
  const valid = action === 'publish' ? isTopicName(topicOrFilter) : isTopicFilter(topicOrFilter)
  if (!valid) {
    const why = faultOfBounds(topicOrFilter)
    const what = `${shown} is not a valid topic ${action === 'publish' ? 'name' : 'filter'}`
    return verdict(false, why === undefined ? what : `${what}: ${why}`)
  }
  if (isReserved(topicOrFilter)) return verdict(false, `${shown} begins with $, which is reserved for the broker`)
  const tenant = action === 'publish' ? parseTenantTopic(topicOrFilter) : undefined
  if (tenant !== undefined) return explainTenant(principal, tenant)
  const rules = rulesOf(principal).filter((rule) => rule.action === action)
  const covers = (candidates: readonly AclRule[]): boolean =>
    action === 'publish'
      ? candidates.some((rule) => matches(rule.topic, topicOrFilter))
      : unionContains(filtersAsText(candidates), topicOrFilter)
  const deny = rules.filter((rule) => rule.effect === 'deny')
  const allow = rules.filter((rule) => rule.effect === 'allow')
  const single = (candidates: readonly AclRule[]): AclRule | undefined => candidates.find((rule) => covers([rule]))
  if (covers(deny)) {
    const rule = single(deny)
    return verdict(false, `denied by ${rule === undefined ? 'several rules together' : describeRule(rule)}`, rule)
  }
  if (covers(allow)) {
    const rule = single(allow)
    return verdict(true, `allowed by ${rule === undefined ? 'several rules together' : describeRule(rule)}`, rule)
  }
  const own = principal.kind === 'device' ? whyNotOwn(principal, topicOrFilter) : ''
  return verdict(false, `no rule of ${JSON.stringify(principal.name)} allows it to ${action} to ${shown}${own}`)
}

const OWN_LEVELS = ['level 1', 'the tenant', 'the device'] as const

/** What of a topic makes it another's. Who writes a name as it is has a topic of other levels, too. */
function whyNotOwn({ tenant, device }: Principal & { kind: 'device' }, topic: string): string {
  const own = topicOfDevice(tenant, device)
  const levels = topic.split('/')
  const differs = own.split('/').findIndex((level, index) => levels[index] !== level)
  const begin = `its topics begin with ${own}/`
  if (differs < 0) return `; ${begin}`
  const level = levels[differs]
  const wrong = level === undefined ? 'is missing' : `${JSON.stringify(level.slice(0, 128))} is not its own`
  return `; ${OWN_LEVELS[differs] ?? ''} ${wrong}: ${begin}`
}

/** May `principal` publish the telemetry of every device of the tenant, whatever it is called? */
function explainTenant(principal: Principal, tenant: string): Explanation {
  const devices = `t/${tenant}/+/telemetry`
  const rules = rulesOf(principal).filter(({ action }) => action === 'publish')
  const deny = rules.find(({ effect, topic }) => effect === 'deny' && overlaps(topic, devices))
  const allow = rules.filter(({ effect }) => effect === 'allow')
  const isAllowed = unionContains(filtersAsText(allow), devices)
  if (isAllowed && deny === undefined) {
    const rule = allow.find(({ topic }) => contains(topic, devices))
    return { allowed: true, rule, reason: `allowed to publish to all of ${devices}` }
  }
  const why = isAllowed && deny !== undefined ? `denied by ${describeRule(deny)}` : 'not allowed by its rules'
  const reason = `whoever publishes to t/${tenant}/telemetry must be allowed all of ${devices}, which is ${why}`
  return { allowed: false, rule: isAllowed ? deny : undefined, reason }
}

/** The rules in force for a principal; those of a device are made up from its name. */
export function rulesOf(principal: Principal): readonly AclRule[] {
  if (principal.kind === 'application') return principal.rules
  const own = topicOfDevice(principal.tenant, principal.device)
  return [
    { effect: 'allow', action: 'publish', topic: `${own}/+/#` },
    { effect: 'deny', action: 'publish', topic: `${own}/cmd/#` },
    { effect: 'deny', action: 'publish', topic: `${own}/notice/#` },
    { effect: 'allow', action: 'subscribe', topic: `${own}/cmd/#` },
    { effect: 'allow', action: 'subscribe', topic: `${own}/notice` },
  ]
}

/** `allow publish t/a/+/cmd`: how a rule is written on the command line and in messages. */
export function describeRule({ effect, action, topic }: AclRule): string {
  return `${effect} ${action} ${topic}`
}

/**
 * Checks rules that come from outside. Errors: `bad_request` (too many, an effect or action that does not exist),
 * `filter_invalid` (not a topic filter, or one that begins with `$`); the message names the rule by its number.
 */
export function checkRules(rules: readonly AclRule[]): void {
  if (rules.length > MAX_RULES) {
    throw new SluiceError('bad_request', `${rules.length} rules are too many; at most ${MAX_RULES} are possible`)
  }
  for (const [index, { effect, action, topic }] of rules.entries()) {
    const fail = (code: 'bad_request' | 'filter_invalid', reason: string): never => {
      throw new SluiceError(code, `rule ${index + 1}: ${reason}`)
    }
    const shown = JSON.stringify(String(topic).slice(0, 128))
    if (effect !== 'allow' && effect !== 'deny') fail('bad_request', 'effect is neither "allow" nor "deny"')
    if (action !== 'publish' && action !== 'subscribe')
      fail('bad_request', 'action is neither "publish" nor "subscribe"')
    if (typeof topic !== 'string' || !isTopicFilter(topic)) fail('filter_invalid', `${shown} is not a topic filter`)
    if (isReserved(topic)) fail('filter_invalid', `${shown} begins with $, which is reserved for the broker`)
  }
}

function allowsTopic(rules: readonly AclRule[], action: RuleAction, topic: string): boolean {
  let allowed = false
  for (const rule of rules) {
    if (rule.action !== action || (allowed && rule.effect === 'allow')) continue
    if (!matches(rule.topic, topic)) continue
    if (rule.effect === 'deny') return false
    allowed = true
  }
  return allowed
}

function filtersOf(rules: readonly AclRule[], effect: AclRule['effect']): string[] {
  return filtersAsText(rules.filter((rule) => rule.effect === effect && rule.action === 'subscribe'))
}

function filtersAsText(rules: readonly AclRule[]): string[] {
  return rules.map((rule) => rule.topic)
}

/** What follows `t/{tenant}/{device}/` in the topic, or undefined when it does not lie below it. */
function belowDevice({ tenant, device }: Device, topic: string): string | undefined {
  const own = topicOfDevice(tenant, device)
  return topic.startsWith(own) && topic.charCodeAt(own.length) === 0x2f ? topic.slice(own.length + 1) : undefined
}

function isAtOrBelow(rest: string, level: string): boolean {
  return rest.startsWith(level) && (rest.length === level.length || rest.charCodeAt(level.length) === 0x2f)
}
