import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { connectPacket, PACKET, text, writePublish, writeReply } from '../../../../services/simulator/mqtt-packets.ts'
import { PacketReader } from '../../../../services/simulator/packet-reader.ts'

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

describe('packets of a device', () => {
  it('CONNECT is version 3.1.1 with a persistent session and a login', () => {
    const packet = connectPacket({ clientId: 'c', username: 'u', password: 'é', keepAliveSeconds: 300 })
    const body = [...text('MQTT'), 4, 0xc0, 1, 44, 0, 1, 0x63, 0, 1, 0x75, 0, 2, 0xc3, 0xa9]
    expect([...packet]).toEqual([0x10, body.length, ...body])
  })

  it('PUBLISH holds its length, topic, identifier and payload at any size', () => {
    fc.assert(
      fc.property(fc.nat(2), fc.nat(20_000), fc.integer({ min: 1, max: 65_535 }), (qos, size, id) => {
        const target = Buffer.alloc(21_000, 0xee)
        const payload = 'x'.repeat(size)
        const end = writePublish(target, 5, { flags: qos << 1, topic: text('t/a'), id, payload })
        const lengthBytes = [2, 3, 4].find((at) => (target[4 + at] ?? 0) < 128)! - 1
        const length = target.subarray(6, 6 + lengthBytes).reduce((sum, byte, at) => sum + (byte & 127) * 128 ** at, 0)
        expect(target[5]).toBe(0x30 | (qos << 1))
        expect(end).toBe(6 + lengthBytes + length)
        const rest = [...(qos === 0 ? [] : [id >> 8, id & 255]), ...Buffer.from(payload)]
        expect(target.subarray(6 + lengthBytes, end)).toEqual(Buffer.from([...text('t/a'), ...rest]))
        expect(target[end]).toBe(0xee)
      }),
    )
  })

  it('PUBREL has the flags that the specification reserves', () => {
    const target = Buffer.alloc(4)
    writeReply(target, 0, PACKET.pubrel, 0x1234)
    expect([...target]).toEqual([0x62, 2, 0x12, 0x34])
  })
})
