import { overriding, withMethods } from '../../load-tests/reference/overriding.ts'
import { EMBEDDED, runStandalone } from '../../services/standalone/main.ts'
import { SAME_NAMES } from '../../shared/registry/names-port.ts'
import type { Device, Principal, Registry } from '../../shared/registry/port.ts'

/** A standalone that stores everything of a device under its name, whichever device has it. */
function byName(registry: Registry): Registry {
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

process.exitCode = await runStandalone(
  { lan: false },
  {
    ...EMBEDDED,
    openPorts: async (context) => {
      const ports = await EMBEDDED.openPorts(context)
      return { ...ports, registry: byName(ports.registry) }
    },
  },
)
