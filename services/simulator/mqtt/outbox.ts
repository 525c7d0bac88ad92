import type { Socket } from 'node:net'
import { PUBLISH_OVERHEAD, writePublish, writeReply } from '../../../shared/mqtt/client-packets.ts'

const REPLY_BYTES = 4

const SMALLEST = 1_024
const LARGEST = 65_536

/** Packets of one client on their way into one write. A flush copies, because a slow socket takes the bytes later. */
export class Outbox {
  #buffer: Buffer
  #used = 0
  #flushedAt = 0

  /** `size` bytes are gathered before a flush becomes necessary, within bounds. */
  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(Math.max(size, SMALLEST), LARGEST))
  }

  /** Bytes that wait for the flush. */
  get pending(): number {
    return this.#used
  }

  /** When bytes last went to a socket, in `performance.now()` ms. */
  get flushedAt(): number {
    return this.#flushedAt
  }

  reply(socket: Socket, type: number, id: number): void {
    this.#room(socket, REPLY_BYTES)
    this.#used = writeReply(this.#buffer, this.#used, type, id)
  }

  publish(
    socket: Socket,
    message: { readonly flags: number; readonly topic: Buffer; readonly id: number; readonly payload: string },
  ): void {
    this.#room(socket, message.topic.length + message.payload.length + PUBLISH_OVERHEAD)
    this.#used = writePublish(this.#buffer, this.#used, message)
  }

  raw(socket: Socket, bytes: Buffer): void {
    this.#room(socket, bytes.length)
    this.#buffer.set(bytes, this.#used)
    this.#used += bytes.length
  }

  /** Forgets what a connection that is gone did not take. */
  discard(): void {
    this.#used = 0
  }

  flush(socket: Socket): void {
    if (this.#used === 0) return
    this.#flushedAt = performance.now()
    socket.write(Buffer.from(this.#buffer.subarray(0, this.#used)))
    this.#used = 0
  }

  #room(socket: Socket, bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return
    this.flush(socket)
    if (bytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(bytes)
  }
}
