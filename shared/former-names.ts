import { canPublish } from './acl.ts'
import type { DeviceNames } from './registry/names-port.ts'
import type { Principal } from './registry/port.ts'
import { parseDeviceTopic } from './topics.ts'

/**
 * May `principal` publish to `topic`, which for a device may also be below a name that it had before: as long as no other
 * device has that, it is still its own.
 */
export function canPublishAs(names: DeviceNames, principal: Principal, topic: string): boolean {
  if (canPublish(principal, topic)) return true
  const named = principal.kind === 'device' ? parseDeviceTopic(topic) : undefined
  if (named === undefined || principal.kind !== 'device' || named.tenant !== principal.tenant) return false
  if (names.uidOf(named.tenant, named.device) !== principal.uid) return false
  return canPublish({ ...principal, device: named.device }, topic)
}
