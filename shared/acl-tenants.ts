import type { AclRule, Principal } from './registry/port.ts'
import { isName } from './names.ts'
import { overlaps, unionContains } from './topic-filter.ts'

/** What whoever publishes for devices and streams that are known only later must be allowed to. */
export function everythingOf(tenant: string): string {
  return `t/${tenant}/+/telemetry/#`
}

/** May the login publish to all streams of all devices of the tenant, whatever they are called? No rule denies it some of that. */
export function canPublishEverything(principal: Principal, tenant: string): boolean {
  if (principal.kind === 'device' || !isName(tenant)) return false
  const everything = everythingOf(tenant)
  const rules = principal.rules.filter(({ action }) => action === 'publish')
  const topics = (effect: AclRule['effect']) => rules.filter((rule) => rule.effect === effect).map(({ topic }) => topic)
  return unionContains(topics('allow'), everything) && !topics('deny').some((topic) => overlaps(topic, everything))
}

/** The tenants that the rules of a login name and in which it {@link canPublishEverything}, each once. */
export function tenantsOf(principal: Principal): string[] {
  if (principal.kind === 'device') return [principal.tenant]
  const named = principal.rules.map(({ topic }) => topic.split('/', 2)[1] ?? '')
  return [...new Set(named)].filter((tenant) => canPublishEverything(principal, tenant))
}
