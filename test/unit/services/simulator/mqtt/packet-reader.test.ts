import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PACKET } from '../../../../../shared/mqtt/client-packets.ts'
import { PacketReader } from '../../../../../services/simulator/mqtt/packet-reader.ts'

type Seen = [type: number, first: number, second: number] | 'pong'

function readInPieces(bytes: Buffer, cuts: readonly number[]): { seen: Seen[]; unexpected: string[] } {
  const seen: Seen[] = []
  const unexpected: string[] = []
  const reader = new PacketReader({
    packet: (type, first, second) => seen.push([type, first, second]),
    pong: () => seen.push('pong'),
    unexpected: (detail) => unexpected.push(detail),
  })
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  for (const [index, start] of edges.entries()) {
    // The buffer is used again for each piece, as the one that all sockets share.
    const piece = Buffer.from(bytes.subarray(start, edges[index + 1] ?? start))
    reader.read(piece, piece.length)
    piece.fill(0xff)
  }
  return { seen, unexpected }
}

describe('answers of a broker', () => {
  it('are the same however they are cut', () => {
    const type = fc.constantFrom(PACKET.puback, PACKET.pubrec, PACKET.pubcomp, PACKET.connack, PACKET.pingresp)
    const packets = fc.array(fc.tuple(type, fc.nat(255), fc.nat(255)))
    fc.assert(
      fc.property(packets, fc.array(fc.nat()), (sent, cuts) => {
        const bytes = sent.flatMap(([kind, a, b]) => (kind === PACKET.pingresp ? [kind, 0] : [kind, 2, a, b]))
        const { seen, unexpected } = readInPieces(Buffer.from(bytes), cuts)
        expect(seen).toEqual(sent.map((packet) => (packet[0] === PACKET.pingresp ? 'pong' : packet)))
        expect(unexpected).toEqual([])
      }),
    )
  })

  it.each([[[0x30, 2, 0, 0]], [[0x40, 3, 0, 0, 0]], [[0xd0, 1, 0]], [[0]], [[0x20, 0]]])(
    '%j is unexpected',
    (bytes) => {
      expect(readInPieces(Buffer.from([...bytes, 0, 0, 0]), []).unexpected).not.toEqual([])
    },
  )
})
