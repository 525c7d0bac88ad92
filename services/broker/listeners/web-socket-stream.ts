import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/** As for TCP: what one connection may hold that is not read, in addition to one message. */
const UNREAD_BYTES = 16 * 1024
const UNSENT_BYTES = 64 * 1024
/** Pongs that the other side does not take are not piled up. */
const MAX_UNSENT_FOR_PONG = 16 * 1024
/** For the other side to answer a close frame. */
const CLOSE_MS = 1_000

const NORMAL = 1000
const UNSUPPORTED_DATA = 1003

/**
 * The bytes of MQTT in the binary messages of a WebSocket; their borders mean nothing [MQTT-6.0.0-2]. What is written
 * together goes as one message. A reader that pauses stops the reading of the socket.
 */
export class WebSocketStream extends Duplex {
  readonly #socket: WebSocket

  constructor(socket: WebSocket) {
    super({ readableHighWaterMark: UNREAD_BYTES, writableHighWaterMark: UNSENT_BYTES })
    this.#socket = socket
    socket.on('message', (data, isBinary) => {
      // [MQTT-6.0.0-1]
      if (!isBinary) return socket.close(UNSUPPORTED_DATA, 'MQTT needs binary WebSocket messages')
      if (Buffer.isBuffer(data) && data.length > 0 && !this.push(data)) socket.pause()
    })
    socket.on('ping', (data) => {
      if (socket.bufferedAmount < MAX_UNSENT_FOR_PONG) socket.pong(data)
    })
    socket.on('error', (error) => this.destroy(error))
    // What came before is read on; what is written from here on is not taken.
    socket.on('close', () => this.push(null))
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk, done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#socket.readyState === this.#socket.CLOSED) return done()
    const closed = Promise.withResolvers<void>()
    const timer = setTimeout(closed.resolve, CLOSE_MS)
    this.#socket.once('close', closed.resolve)
    void closed.promise.then(() => {
      clearTimeout(timer)
      done()
    })
    this.#socket.resume()
    this.#socket.close(NORMAL)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.terminate()
    done(error)
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return done()
    this.#socket.send(bytes, { binary: true }, (error) => done(error))
  }
}
