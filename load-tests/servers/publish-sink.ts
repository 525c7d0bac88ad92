import { createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'

/** One PUBLISH as it came. */
export interface ReceivedPublish {
  readonly topic: string
  readonly payload: string
  readonly id: number
  readonly qos: number
  readonly dup: boolean
}

export interface PublishSinkOptions {
  /** CONNACK code for a client; 0 (accepted) when left out. */
  readonly connack?: (clientId: string) => number
  /** Told of each message; `false` keeps the acknowledgement back. */
  readonly onPublish?: (message: ReceivedPublish, socket: Socket) => boolean | void
  /** Told of each PUBREL; `false` keeps the PUBCOMP back. */
  readonly onRelease?: (id: number, socket: Socket) => boolean | void
  readonly port?: number
}

export interface PublishSink {
  readonly port: number
  readonly sockets: ReadonlySet<Socket>
  /** Messages received, repeats included. */
  readonly received: number
  close(): Promise<void>
}

/** The publishing half of an MQTT broker that keeps nothing: for tests and measurements of clients. */
export async function startPublishSink(options: PublishSinkOptions = {}): Promise<PublishSink> {
  const sockets = new Set<Socket>()
  const counts = { received: 0 }
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    serve(socket, options, counts)
  })
  await listen(server, options.port ?? 0)
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    get received() {
      return counts.received
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve())
  })
}

function serve(socket: Socket, options: PublishSinkOptions, counts: { received: number }): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const answers: number[] = []
    let at = 0
    for (;;) {
      const packet = frame(bytes, at)
      if (packet === undefined) break
      at = packet.end
      if ((packet.type & 0xf0) === 0x30) counts.received += 1
      answers.push(...answer(packet, options, socket))
    }
    rest = bytes.subarray(at)
    if (answers.length > 0) socket.write(Buffer.from(answers))
  })
}

interface Frame {
  readonly type: number
  readonly body: Buffer
  readonly end: number
}

function frame(bytes: Buffer, at: number): Frame | undefined {
  let length = 0
  for (let index = at + 1, shift = 0; index < bytes.length; index += 1, shift += 7) {
    const byte = bytes[index] ?? 0
    length |= (byte & 127) << shift
    if (byte > 127) continue
    const end = index + 1 + length
    return end > bytes.length ? undefined : { type: bytes[at] ?? 0, body: bytes.subarray(index + 1, end), end }
  }
  return undefined
}

function answer({ type, body }: Frame, options: PublishSinkOptions, socket: Socket): number[] {
  switch (type & 0xf0) {
    case 0x10:
      return [0x20, 2, 0, options.connack?.(body.toString('utf8', 12, 12 + body.readUInt16BE(10))) ?? 0]
    case 0x30:
      return answerPublish(type, body, options, socket)
    case 0x60:
      return options.onRelease?.(body.readUInt16BE(0), socket) === false ? [] : [0x70, 2, body[0] ?? 0, body[1] ?? 0]
    case 0xc0:
      return [0xd0, 0]
    default:
      return []
  }
}

function answerPublish(type: number, body: Buffer, options: PublishSinkOptions, socket: Socket): number[] {
  const qos = (type >> 1) & 3
  const topicEnd = 2 + body.readUInt16BE(0)
  const id = qos === 0 ? 0 : body.readUInt16BE(topicEnd)
  if (options.onPublish !== undefined) {
    const topic = body.toString('utf8', 2, topicEnd)
    const payload = body.toString('utf8', topicEnd + (qos === 0 ? 0 : 2))
    if (options.onPublish({ topic, payload, id, qos, dup: (type & 8) !== 0 }, socket) === false) return []
  }
  return qos === 0 ? [] : [qos === 1 ? 0x40 : 0x50, 2, id >> 8, id & 255]
}
