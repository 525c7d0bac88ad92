import type { Duplex } from 'node:stream'
import type { BufferOwner, PacketBuffer, PacketOutput } from '../mqtt/packet-buffer.ts'

/** A client that does not take its answers is not read. */
const MAX_UNSENT_BYTES = 256 * 1024
/** aedes is told to wait earlier, so that what it delivers never stops the reading of acknowledgements. */
const AEDES_UNSENT_BYTES = 64 * 1024
/** For a client that was told why its connection ends, to read that and to close its side. */
const LINGER_MS = 2_000

/** The way out to one socket: whole packets at once, or small ones that are gathered until `flush`. */
export class SocketWriter implements PacketOutput, BufferOwner {
  readonly #socket: Duplex
  readonly #buffer: PacketBuffer
  readonly #connection: { close(): void }

  constructor(socket: Duplex, buffer: PacketBuffer, connection: { close(): void }) {
    this.#socket = socket
    this.#buffer = buffer
    this.#connection = connection
  }

  /** Bytes that the client has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  get isClogged(): boolean {
    return this.#socket.writableLength > MAX_UNSENT_BYTES
  }

  acknowledge(header: number, id: number): void {
    this.#buffer.claim(this)
    this.#buffer.acknowledge(header, id)
  }

  refuse(header: number, id: number, reason: number, text: string | undefined): void {
    this.#buffer.claim(this)
    this.#buffer.refuse(header, id, reason, text)
  }

  put(packet: Buffer): void {
    this.#buffer.claim(this)
    this.#buffer.put(packet)
  }

  empty(header: number): void {
    this.#buffer.claim(this)
    this.#buffer.empty(header)
  }

  /** Writes what was gathered. To be called in the turn in which it was put in. */
  flush(): void {
    if (this.#buffer.isEmpty) return
    const packets = this.#buffer.take(this)
    if (packets !== undefined) this.write(packets)
  }

  packetsLost(): void {
    this.#connection.close()
  }

  write(packets: Buffer): void {
    if (this.#socket.writable) this.#socket.write(packets)
  }

  /**
   * Nothing more is written; the socket goes when it has taken everything. With `gone` the last packet is for the client
   * to read: the connection counts as gone from then on, but what still comes is read and dropped for a while, because a
   * socket that is closed answers it with a reset, and a client that is reset reads nothing more.
   */
  end(gone?: () => void): void {
    const socket = this.#socket
    if (socket.writableFinished || !socket.writable) return void socket.destroy()
    if (gone === undefined) return void socket.end(() => socket.destroy())
    socket.end(() => {
      if (socket.destroyed) return
      const timer = setTimeout(() => socket.destroy(), LINGER_MS)
      socket.once('close', () => clearTimeout(timer))
      gone()
    })
  }

  /** Packets of aedes; `taken` is called when there is room for more. */
  forward(packets: Buffer, taken: () => void): void {
    if (!this.#socket.writable) return taken()
    // Only a socket that really lags is waited for: each wait costs aedes a timer.
    if (this.#socket.writableLength <= AEDES_UNSENT_BYTES) {
      this.#socket.write(packets)
      taken()
    } else {
      this.#socket.write(packets, () => taken())
    }
  }
}
