import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Bytes of a CONNACK of MQTT 3.1.1: they always pass. */
const CONNACK_BYTES = 4

/**
 * A port on which connections break: of each of the first ones so many bytes of answers pass, what the broker says then does
 * not arrive, and at the end of the broker's next answer both sides are cut. With `last` that waits until the client has
 * sent these bytes, and until the broker has read everything: then it has seen all that its client repeated.
 */
export async function cuttingProxy(
  port: number,
  answers: readonly number[],
  last?: string,
): Promise<{ port: number; cuts: () => number }> {
  const sockets = new Set<Socket>()
  let connections = 0
  let cuts = 0
  const server = createServer((client) => {
    const most = answers[connections]
    connections += 1
    const broker = connect({ port, host: '127.0.0.1', noDelay: true })
    let left = most === undefined ? Infinity : CONNACK_BYTES + most
    client.setNoDelay(true)
    let hasSentLast = last === undefined
    client.on('data', (chunk: Buffer) => {
      broker.write(chunk)
      // Small and written in one piece each: no chunk ends within it.
      hasSentLast ||= chunk.includes(last ?? '')
    })
    broker.on('data', (chunk: Buffer) => {
      if (left > 0) client.write(chunk.subarray(0, left))
      if (chunk.length > left && hasSentLast && !broker.writableEnded) {
        cuts += 1
        if (last === undefined) client.destroy()
        // The client is cut when the broker has closed its side, behind the last byte.
        broker.end()
        if (last === undefined) broker.destroy()
      }
      left -= chunk.length
    })
    for (const [socket, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => void (sockets.delete(socket), other.destroy()))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, cuts: () => cuts }
}
