import { createServer, type AddressInfo, type Socket } from 'node:net'
import { TCP_KEEPALIVE, toListenError, type Address } from '../../../shared/process/listen.ts'

/** An open port. */
export interface Port {
  readonly address: Address
  /** Accepts nothing more; connections stay. */
  close(): void
}

export interface PortOptions {
  readonly host: string
  readonly port: number
  /** Several processes of this machine may listen on it, and the kernel spreads the connections over them. */
  readonly reusePort: boolean
  /** Named when it cannot be listened on. */
  readonly setting: string
}

/** Connections that the kernel holds while we are busy: a fleet comes back at once. */
const BACKLOG = 4096

/** What a socket that is not read may take from the kernel all the same, and one read of 64 KiB at most. */
const PAUSED_BYTES = 16 * 1024

/** Listens on TCP. Errors: `port_in_use`, `setting_invalid` (an address that is not ours, a port that is not allowed). */
export function openPort(options: PortOptions, onSocket: (socket: Socket) => void): Promise<Port> {
  const { host, port, reusePort, setting } = options
  const server = createServer({
    allowHalfOpen: true,
    highWaterMark: PAUSED_BYTES,
    noDelay: true,
  })
  server.on('connection', (socket: Socket) => onSocket(socket.setKeepAlive(TCP_KEEPALIVE)))
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(toListenError(error, { host, port }, setting)))
    server.listen({ host, port, backlog: BACKLOG, reusePort }, () => {
      server.removeAllListeners('error')
      // A failed accept (no more file handles) is told here; the next one may succeed.
      server.on('error', () => undefined)
      const address = server.address() as AddressInfo
      resolve({ address: { host, port: address.port }, close: () => void server.close() })
    })
  })
}
