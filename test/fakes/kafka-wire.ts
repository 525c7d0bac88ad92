import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Keys of requests, in the protocol. */
export const REQUEST = { fetch: 1, listOffsets: 2, metadata: 3, apiVersions: 18 } as const

/** What the broker does with a request. One to which it knows no answer is held. */
type Reaction = 'answer' | 'hold' | 'close'

interface KafkaWire {
  readonly port: number
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>
  /** Resolves with the next request of that key. */
  asked(key: number): Promise<void>
}

/**
 * A socket that speaks just enough of Kafka's protocol to be taken for a broker: versions and metadata. Where a real
 * broker answers at once, this one does what a test needs to see at the client's sockets.
 */
export async function startKafkaWire(host: string, react: (key: number) => Reaction): Promise<KafkaWire> {
  const sockets = new Set<Socket>()
  const waiters: { key: number; resolve: () => void }[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    let kept = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      kept = Buffer.concat([kept, chunk])
      while (kept.length >= 4 && kept.length >= 4 + kept.readInt32BE(0)) {
        const end = 4 + kept.readInt32BE(0)
        take(socket, kept.readInt16BE(4), kept.readInt32BE(8))
        kept = kept.subarray(end)
      }
    })
  })
  const take = (socket: Socket, key: number, correlation: number) => {
    const reaction = react(key)
    const body = key === REQUEST.apiVersions ? versions() : key === REQUEST.metadata ? metadata(host, port) : undefined
    const head = Buffer.alloc(8)
    if (reaction === 'answer' && body !== undefined) {
      head.writeInt32BE(4 + body.length, 0)
      head.writeInt32BE(correlation, 4)
      socket.write(Buffer.concat([head, body]))
    } else if (reaction === 'close') socket.destroy()
    for (const waiter of waiters) if (waiter.key === key) waiter.resolve()
  }
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port, sockets, asked: (key) => new Promise((resolve) => waiters.push({ key, resolve })) }
}

const int16 = (value: number) => Buffer.from([(value >> 8) & 0xff, value & 0xff])
const int32 = (value: number) => Buffer.concat([int16(value >>> 16), int16(value & 0xffff)])
const text = (value: string) => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)])

/** ApiVersions, version 2: no error, what is served, not throttled. */
function versions(): Buffer {
  const served = [
    [REQUEST.metadata, 1, 1],
    [REQUEST.apiVersions, 0, 2],
  ]
  return Buffer.concat([int16(0), int32(served.length), ...served.flat().map(int16), int32(0)])
}

/** Metadata, version 1: this broker, which leads the one partition of topic `t`. */
function metadata(host: string, port: number): Buffer {
  const broker = [int32(1), int32(1), text(host), int32(port), int16(-1)]
  const partition = [int16(0), int32(0), int32(1), int32(1), int32(1), int32(1), int32(1)]
  return Buffer.concat([...broker, int32(1), int32(1), int16(0), text('t'), Buffer.from([0]), int32(1), ...partition])
}
