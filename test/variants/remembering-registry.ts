import type { Principal, Registry } from '../../shared/registry/port.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: a registry that takes a login for good because it once was. */
export function rememberingRegistry(registry: Registry): Registry {
  const known = new Map<string, Principal>()
  const remember = (key: string, principal: Principal | undefined): Principal | undefined => {
    if (principal !== undefined) known.set(key, principal)
    return known.get(key)
  }
  return overriding(registry, {
    verifySecret: async (username, secret) =>
      remember(`${username}\n${secret}`, await registry.verifySecret(username, secret)),
    verifyToken: async (token) => remember(token, await registry.verifyToken(token)),
  })
}
