import { isLoopback } from '../../shared/addresses.ts'
import { SluiceError } from '../../shared/errors.ts'
import type { Api, ApiParts } from './api.ts'

/**
 * A page of any site can make its own name point to 127.0.0.1 (DNS rebinding), and a browser then takes a listener on loopback
 * for that site: what needs no token could be read by it. The name that the browser asked for stands in Host. A listener that
 * others reach has no such secrets from its callers. Error: `host_refused`.
 */
export function checkHost(app: Api, { settings }: ApiParts<'settings'>): void {
  if (!isLoopback(settings.BIND_ADDRESS)) return
  const allowed = new Set(settings.HTTP_HOSTS.map((name) => name.toLowerCase()))
  app.addHook('onRequest', async ({ headers: { host } }) => {
    if (host === undefined || isOurs(host, allowed)) return
    throw new SluiceError('host_refused', `"${host.slice(0, 255)}" is not a name of this server, which is on loopback.`)
  })
}

function isOurs(host: string, allowed: ReadonlySet<string>): boolean {
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase()
  // Browsers resolve names below localhost themselves.
  return isLoopback(name) || name.endsWith('.localhost') || allowed.has(name)
}
