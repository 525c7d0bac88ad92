/** MQTT control packets as they lie in the bytes of a connection: type, flags, remaining length [MQTT 3.1.1, 2.2]. */

/** What {@link FrameReader.peek} found. */
export const Peeked = {
  /** No whole packet yet. */
  more: 0,
  /** A whole packet lies in `buffer` from `body` to `end`; `consume` goes past it. */
  frame: 1,
  /** The packet is longer than the limit: `skip` it, or close. `header` and `total` tell which and how long. */
  long: 2,
  /** A skipped packet has passed; `kept` holds its beginning. `consume` continues. */
  skipped: 3,
  /** The remaining length has more than four bytes [MQTT-2.2.3]. */
  malformed: 4,
} as const
export type Peeked = (typeof Peeked)[keyof typeof Peeked]

const NOTHING = Buffer.alloc(0)
const MAX_HEADER_BYTES = 5

/**
 * Finds packets in chunks cut at any byte. A packet that lies within one chunk is not copied; one that is spread over
 * several is gathered once in a buffer of its own size, so a packet of n bytes costs n copied bytes whatever the cuts.
 * Holds at most what was fed and not consumed.
 */
export class FrameReader {
  /** First byte of the packet: type and flags. */
  header = 0
  /** The packet's variable header and payload are `buffer[body]` to `buffer[end - 1]`. */
  buffer: Buffer = NOTHING
  body = 0
  end = 0
  /** Length of the packet with its fixed header. */
  total = 0
  /** First bytes after the fixed header of a packet that was skipped. */
  kept: Buffer = NOTHING

  /** Longest packet that is taken, in bytes with its fixed header. */
  limit: number
  /** Bytes that were fed and not consumed. */
  heldBytes = 0

  #chunk: Buffer = NOTHING
  #position = 0
  readonly #queue: Buffer[] = []
  #peeked: Peeked = Peeked.more
  /** A packet that is spread over chunks; `#filled` of its `total` bytes are there. */
  #gathered: Buffer | undefined
  #filled = 0
  /** Bytes still to come of a packet that is being skipped, and how much of it is kept. */
  #skipping = 0
  #keptBytes = 0

  constructor(limit: number) {
    this.limit = limit
  }

  /** Takes a chunk; the reader owns it until it is consumed. */
  feed(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.heldBytes += chunk.length
    if (this.#position === this.#chunk.length) {
      this.#chunk = chunk
      this.#position = 0
    } else {
      this.#queue.push(chunk)
    }
  }

  /** What comes next; the same answer until `consume` or `skip`, or until `feed` after `more`. */
  peek(): Peeked {
    if (this.#peeked === Peeked.more) this.#peeked = this.#find()
    return this.#peeked
  }

  /** Goes past the packet that `peek` found. */
  consume(): void {
    if (this.#gathered !== undefined) {
      this.#gathered = undefined
      this.heldBytes -= this.total
    } else if (this.#peeked === Peeked.frame) {
      this.#advance(this.end - this.#position)
    }
    // A connection that says nothing for long must not hold on to the last chunk that it sent.
    this.buffer = NOTHING
    this.kept = NOTHING
    this.#peeked = Peeked.more
  }

  /** After `long`: lets the packet pass without holding it, but for its first `keep` bytes. */
  skip(keep: number): void {
    const headerBytes = this.body - this.#position
    this.#advance(headerBytes)
    this.#skipping = this.total - headerBytes
    this.kept = Buffer.allocUnsafe(Math.min(keep, this.#skipping))
    this.#keptBytes = 0
    this.#peeked = Peeked.more
  }

  /** Moves what is held out of its chunk when most of that is consumed: a small rest does not hold a large chunk. */
  compact(): void {
    if (this.#position * 2 <= this.#chunk.length) return
    const rest = Buffer.from(this.#chunk.subarray(this.#position))
    if (this.#gathered === undefined) {
      this.body -= this.#position
      this.end -= this.#position
      this.buffer = rest
    }
    this.#chunk = rest
    this.#position = 0
  }

  /** Calls `visit` with header and first byte after the length (0 without) of each whole packet that is held. */
  scan(visit: (header: number, first: number) => void): void {
    if (this.#skipping > 0) return
    if (this.#gathered !== undefined) {
      if (this.#filled < this.total) return
      visit(this.header, this.end === this.body ? 0 : (this.buffer[this.body] ?? 0))
    }
    const held = this.#queue.length === 0 ? this.#chunk : Buffer.concat([this.#chunk, ...this.#queue])
    let position = this.#position
    for (;;) {
      const length = readLength(held, position + 1)
      if (length === undefined || length.value < 0 || length.next + length.value > held.length) return
      visit(held[position] ?? 0, length.value === 0 ? 0 : (held[length.next] ?? 0))
      position = length.next + length.value
    }
  }

  #find(): Peeked {
    if (this.#skipping > 0) return this.#passSkipped()
    if (this.#gathered !== undefined) return this.#gather()
    const chunk = this.#chunk
    const start = this.#position
    const available = chunk.length - start
    if (available < 2) return available > 0 && this.#joinNext(available) ? this.#find() : Peeked.more
    this.header = chunk[start] ?? 0
    // The usual case first: a remaining length of one byte.
    let length = chunk[start + 1] ?? 0
    let body = start + 2
    if (length > 127) {
      const long = readLength(chunk, start + 1)
      if (long === undefined) return this.#joinNext(available) ? this.#find() : Peeked.more
      if (long.value < 0) return Peeked.malformed
      length = long.value
      body = long.next
    }
    this.body = body
    this.end = body + length
    this.total = this.end - start
    if (this.total > this.limit) return Peeked.long
    if (this.end > chunk.length) return this.#beginGathering()
    this.buffer = chunk
    return Peeked.frame
  }

  /** The fixed header itself is cut: puts it in front of the next chunk. */
  #joinNext(available: number): boolean {
    const next = this.#queue.shift()
    if (next === undefined) return false
    // At most four bytes are joined: a cut header is shorter than a whole one.
    if (available >= MAX_HEADER_BYTES) throw new RangeError('a complete header was read as a truncated one')
    this.#chunk = Buffer.concat([this.#chunk.subarray(this.#position), next])
    this.#position = 0
    return true
  }

  #beginGathering(): Peeked {
    const start = this.#position
    const gathered = Buffer.allocUnsafe(this.total)
    this.#filled = this.#chunk.copy(gathered, 0, start)
    this.#gathered = gathered
    this.body -= start
    this.end -= start
    this.buffer = gathered
    this.#nextChunk()
    return this.#gather()
  }

  #gather(): Peeked {
    const gathered = this.#gathered ?? NOTHING
    while (this.#filled < this.total) {
      const available = this.#chunk.length - this.#position
      if (available === 0) return Peeked.more
      const wanted = Math.min(available, this.total - this.#filled)
      this.#chunk.copy(gathered, this.#filled, this.#position, this.#position + wanted)
      this.#filled += wanted
      this.#position += wanted
      if (this.#position === this.#chunk.length) this.#nextChunk()
    }
    return Peeked.frame
  }

  #passSkipped(): Peeked {
    while (this.#skipping > 0) {
      const available = this.#chunk.length - this.#position
      if (available === 0) return Peeked.more
      const passed = Math.min(available, this.#skipping)
      if (this.#keptBytes < this.kept.length) {
        this.#keptBytes += this.#chunk.copy(
          this.kept,
          this.#keptBytes,
          this.#position,
          this.#position + Math.min(passed, this.kept.length - this.#keptBytes),
        )
      }
      this.#skipping -= passed
      this.#advance(passed)
    }
    return Peeked.skipped
  }

  #advance(bytes: number): void {
    this.heldBytes -= bytes
    this.#position += bytes
    if (this.#position === this.#chunk.length) this.#nextChunk()
  }

  #nextChunk(): void {
    this.#chunk = this.#queue.shift() ?? NOTHING
    this.#position = 0
  }
}

/** The remaining length at `position`; undefined while it is cut, a negative value when it has more than four bytes. */
function readLength(buffer: Buffer, position: number): { value: number; next: number } | undefined {
  let value = 0
  for (let index = 0; index < 4; index += 1) {
    const byte = buffer[position + index]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * 128 ** index
    if (byte < 128) return { value, next: position + index + 1 }
  }
  return { value: -1, next: position }
}
