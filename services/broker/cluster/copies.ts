/** Telemetry on its way to subscribers on another node. */
export interface Copy {
  readonly topic: string
  readonly payload: Uint8Array
}

/** Length of topic (2 bytes) and payload (4), then both, one after the other. */
export function encodeCopies(kind: number, copies: readonly Copy[]): Buffer {
  const parts: Uint8Array[] = [Uint8Array.of(kind)]
  for (const { topic, payload } of copies) {
    const name = Buffer.from(topic)
    const lengths = Buffer.alloc(6)
    lengths.writeUInt16BE(name.length, 0)
    lengths.writeUInt32BE(payload.byteLength, 2)
    parts.push(lengths, name, payload)
  }
  return Buffer.concat(parts)
}

/** The payloads are parts of the frame. */
export function decodeCopies(frame: Buffer): Copy[] {
  const copies: Copy[] = []
  for (let at = 1; at < frame.length;) {
    const topicEnd = at + 6 + frame.readUInt16BE(at)
    const end = topicEnd + frame.readUInt32BE(at + 2)
    if (end > frame.length) throw new Error('a truncated telemetry frame')
    copies.push({ topic: frame.toString('utf8', at + 6, topicEnd), payload: frame.subarray(topicEnd, end) })
    at = end
  }
  return copies
}
