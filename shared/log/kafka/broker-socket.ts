import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'

export interface SocketTarget {
  readonly host: string
  readonly port: number
  readonly ssl: ConnectionOptions | null
  readonly onConnect: () => void
}

/** A connection to a broker, plain or over TLS; it is in `sockets` while it is open. */
export function openSocket({ host, port, ssl, onConnect }: SocketTarget, sockets: Set<Socket>): Socket {
  const name = isIP(host) === 0 ? { servername: host } : {}
  const socket =
    ssl === null ? connectPlain({ host, port }, onConnect) : connectTls({ host, port, ...name, ...ssl }, onConnect)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 60_000)
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
  return socket
}
