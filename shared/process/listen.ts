import type { Server } from 'node:http'
import { SluiceError } from '../errors.ts'

/**
 * Probes of the kernel on every connection: a peer that lost its power is noticed even while we do not read, and whatever it agreed
 * on. After 60 s of silence three of them, a minute apart: a modem that sleeps for a moment misses one.
 */
export const TCP_KEEPALIVE = { enable: true, initialDelay: 60_000, interval: 60_000, count: 3 } as const

export interface Address {
  readonly host: string
  readonly port: number
}

/** Why something cannot listen. Codes: `port_in_use`, `setting_invalid` (an address not ours, a port not allowed). */
export function toListenError(error: unknown, { host, port }: Address, setting: string): SluiceError {
  const cause = { cause: error }
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') return new SluiceError('port_in_use', `${setting}: ${host}:${port} is in use`, cause)
  if (code === 'EACCES') return new SluiceError('setting_invalid', `${setting}: no permission for port ${port}`, cause)
  const reason = error instanceof Error ? error.message : String(error)
  return new SluiceError('setting_invalid', `${setting}: cannot listen on ${host}:${port}: ${reason}`, cause)
}

/** What of a fastify application listening takes. */
interface HttpApplication {
  listen(address: Address): Promise<string>
  readonly server: Pick<Server, 'address'>
}

/** Listens with HTTP; the answer holds the port that the system chose for 0. Errors: as {@link toListenError}. */
export async function listenHttp(app: HttpApplication, address: Address, setting: string): Promise<Address> {
  try {
    await app.listen(address)
  } catch (error) {
    throw toListenError(error, address, setting)
  }
  const bound = app.server.address()
  return typeof bound === 'object' && bound !== null ? { ...address, port: bound.port } : address
}
