import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'

export interface SocketTarget {
  readonly host: string
  readonly port: number
  readonly ssl: ConnectionOptions | null
  readonly onConnect: () => void
}

/**
 * A broker as kafkajs takes it, which ends the host at the first colon: those of an IPv6 address are escaped, and put back
 * by {@link openSocket}.
 */
export function seedOf(broker: string): string {
  const [, address, port] = /^\[(.+)\]:(\d+)$/.exec(broker) ?? []
  return address === undefined ? broker : `${address.replaceAll(':', ESCAPED_COLON)}:${port}`
}

const ESCAPED_COLON = '%3A'

/** A connection to a broker, plain or over TLS; it is in `sockets` while it is open. */
export function openSocket({ host: escaped, port, ssl, onConnect }: SocketTarget, sockets: Set<Socket>): Socket {
  const host = escaped.replaceAll(ESCAPED_COLON, ':')
  const name = isIP(host) === 0 ? { servername: host } : {}
  const socket =
    ssl === null ? connectPlain({ host, port }, onConnect) : connectTls({ host, port, ...name, ...ssl }, onConnect)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 60_000)
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
  return socket
}
