import type { DeviceNames } from '../../shared/registry/names-port.ts'
import type { DeviceName } from '../../shared/registry/names.ts'
import { loginOfKey } from '../../shared/record.ts'
import { deviceKey, parseDeviceKey, parseTelemetryTopic } from '../../shared/topics.ts'

/** Which devices are asked for, by their names. */
export interface OwnerFilter {
  readonly tenant?: string | undefined
  readonly device?: string | undefined
}

/** Whether a record key is that of a device that is asked for: not that of an earlier one of its name. */
export function isOwner(names: DeviceNames, { tenant, device }: OwnerFilter, key: string): boolean {
  if (tenant === undefined && device === undefined) return true
  const owner = parseDeviceKey(key)
  if (owner === undefined || (tenant !== undefined && tenant !== owner.tenant)) return false
  return device === undefined || names.uidOf(owner.tenant, device) === owner.device
}

/**
 * What the device of a record key is called, or, when it is gone, was called by the topic that it published to; undefined
 * for a key that is none of a device.
 */
export function ownerOf(names: DeviceNames, key: string, topic: string | undefined): DeviceName | undefined {
  const owner = parseDeviceKey(key)
  if (owner === undefined) return undefined
  const device = names.nameOf(owner.tenant, owner.device)
  if (device !== owner.device || topic === undefined) return { tenant: owner.tenant, device }
  const published = parseTelemetryTopic(topic)
  return { tenant: owner.tenant, device: published?.tenant === owner.tenant ? published.device : device }
}

/** {@link ownerOf} as `{tenant}/{device}`, or the login that published for several; the key itself where it is neither. */
export function shownOwner(names: DeviceNames, key: string, topic: string | undefined): string {
  const login = loginOfKey(key)
  if (login !== undefined) return login
  const owner = ownerOf(names, key, topic)
  return owner === undefined ? key : deviceKey(owner.tenant, owner.device)
}
