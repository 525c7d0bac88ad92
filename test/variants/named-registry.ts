import { overriding, withMethods } from '../../load-tests/reference/overriding.ts'
import { SAME_NAMES } from '../../shared/registry/names-port.ts'
import type { Device, Principal, Registry } from '../../shared/registry/port.ts'

/** A registry with which everything of a device is stored under its name, whichever device has it. */
export function byName(registry: Registry): Registry {
  const named = async <T extends Device | Principal>(found: Promise<T | undefined>): Promise<T | undefined> => {
    const one = await found
    return one !== undefined && 'device' in one ? { ...one, uid: one.device } : one
  }
  const overridden = overriding(registry, {
    getDevice: (tenant, device) => named(registry.getDevice(tenant, device)),
    verifySecret: (username, secret) => named(registry.verifySecret(username, secret)),
    verifyToken: (token) => named(registry.verifyToken(token)),
  })
  return withMethods(overridden, { names: SAME_NAMES })
}
