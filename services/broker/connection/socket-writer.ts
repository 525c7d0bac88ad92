import type { Duplex } from 'node:stream'
import type { PacketBuffer } from '../mqtt/packet-buffer.ts'

/** A client that does not take its answers is not read. */
const MAX_UNSENT_BYTES = 256 * 1024
/** aedes is told to wait earlier, so that what it delivers never stops the reading of acknowledgements. */
const AEDES_UNSENT_BYTES = 64 * 1024
/** For a client that was told why its connection ends, to read that and to close its side. */
const LINGER_MS = 2_000

/** The way out to one socket. Whoever writes, writes whole packets. */
export class SocketWriter {
  readonly #socket: Duplex
  readonly #output: PacketBuffer

  constructor(socket: Duplex, output: PacketBuffer) {
    this.#socket = socket
    this.#output = output
  }

  /** Bytes that the client has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  get isClogged(): boolean {
    return this.#socket.writableLength > MAX_UNSENT_BYTES
  }

  /** Writes what was put into the small packets, at once. */
  flush(): void {
    if (this.#output.isEmpty) return
    this.write(this.#output.take())
  }

  write(packets: Buffer): void {
    if (this.#socket.writable) this.#socket.write(packets)
  }

  /**
   * Nothing more is written; the socket goes when it has taken everything. With `gone` the last packet is for the client
   * to read: the connection counts as gone from then on, but what still comes is read and dropped for a while, because a
   * socket that is away answers it with a reset, and a client that is reset reads nothing more.
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
    // Only a socket that is really behind is waited for: each wait costs aedes a timer.
    if (this.#socket.writableLength <= AEDES_UNSENT_BYTES) {
      this.#socket.write(packets)
      taken()
    } else {
      this.#socket.write(packets, () => taken())
    }
  }
}
