import { connect } from 'node:net'
import type { Door, HostileConnection } from './mutations.ts'

export type Outcome = 'answered and closed' | 'closed' | 'left' | 'stuck'

/** A connection that only waits is waited with for so long. */
const WAIT_MS = 200
/** The broker gives a client that has closed its side two seconds for its answers, and one that does not take them five. */
const STUCK_MS = 15_000

/**
 * Plays one hostile connection. `closed`: by the broker; `stuck`: the broker neither answered the end nor closed.
 */
export function play(
  { door, writes, end }: HostileConnection,
  ports: Readonly<Record<Door, number>>,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: ports[door], noDelay: true })
    let isAnswered = false
    let isStuck = false
    let hasLeft = false
    let timer = setTimeout(giveUp, STUCK_MS)
    socket.on('data', () => (isAnswered = true))
    // A reset by the broker; `close` follows.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(timer)
      if (isStuck) resolve('stuck')
      else if (hasLeft) resolve('left')
      else resolve(isAnswered ? 'answered and closed' : 'closed')
    })
    socket.on('connect', () => next(0))

    function next(index: number): void {
      if (socket.destroyed) return
      const bytes = writes[index]
      if (bytes === undefined) return finish()
      // The broker gets each write as a read of its own, if it is as fast.
      socket.write(bytes, () => setImmediate(next, index + 1))
    }

    function finish(): void {
      if (end === 'half-close') return void socket.end()
      if (end === 'wait') {
        clearTimeout(timer)
        timer = setTimeout(leave, WAIT_MS)
      } else leave()
    }

    function leave(): void {
      hasLeft = true
      if (end === 'reset') socket.resetAndDestroy()
      else socket.destroy()
    }

    function giveUp(): void {
      isStuck = true
      socket.destroy()
    }
  })
}
