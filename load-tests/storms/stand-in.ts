import { createServer, type AddressInfo } from 'node:net'

/** Told when it listens. */
export interface StandInReady {
  readonly port: number
}

/** CONNACK: bad user name or password. */
const REFUSED = Buffer.from([0x20, 2, 0, 4])
/** As the broker does with an address where logins are guessed: so often one begins, and about so late it is refused. */
const TURN_MS = 10
const LATE_MS = 4_000

/**
 * Refuses every login, as slowly as the broker does, and does nothing else: what an attack on it costs the clients of the
 * broker is what it costs to have the attacker on the same machine.
 */
const waiting: (() => void)[] = []
const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy())
  waiting.push(() => {
    socket.once('data', () => setTimeout(() => socket.end(REFUSED), LATE_MS * (0.5 + Math.random())))
  })
})
setInterval(() => waiting.shift()?.(), TURN_MS)
server.listen({ host: '0.0.0.0', port: 0, backlog: 4096 }, () => {
  const { port } = server.address() as AddressInfo
  process.send?.({ port } satisfies StandInReady)
})
