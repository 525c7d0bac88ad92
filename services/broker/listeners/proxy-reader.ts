import type { Socket } from 'node:net'
import { parseProxyHeader } from './proxy-header.ts'

/**
 * Reads the PROXY header of a connection and leaves what follows it unread. `done` is called once, unless the connection
 * ends before: with the address of the client, undefined when the proxy itself is the client; `fail` with the reason.
 */
export function readProxyHeader(
  socket: Socket,
  done: (address: string | undefined) => void,
  fail: (reason: string) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0)
  const stop = (): void => {
    socket.off('readable', onReadable)
    socket.off('end', onEnd)
  }
  const onReadable = (): void => {
    for (let chunk = next(socket); chunk !== null; chunk = next(socket)) {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      const header = parseProxyHeader(bytes)
      if (header.state === 'more') continue
      stop()
      if (header.state === 'invalid') return fail(header.reason)
      if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length))
      // The stream notices in the next tick that `readable` has no listener any more; only then may others read it.
      process.nextTick(() => (socket.destroyed ? undefined : done(header.address)))
      return
    }
  }
  // The other side has closed before its header was whole.
  const onEnd = (): void => void socket.destroy()
  socket.on('readable', onReadable)
  socket.on('end', onEnd)
}

function next(socket: Socket): Buffer | null {
  const chunk: unknown = socket.read()
  return Buffer.isBuffer(chunk) ? chunk : null
}
