import fc from 'fast-check'
import { parser, type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import {
  connectPacket,
  DISCONNECT,
  PACKET,
  PINGREQ,
  publishPacket,
  subscribePacket,
  writePublish,
  writeReply,
} from '../../../../shared/mqtt/client-packets.ts'
import { encodeText } from '../../../../shared/mqtt/encoding.ts'

function decode(bytes: Buffer): Packet[] {
  const packets: Packet[] = []
  const reader = parser({ protocolVersion: 4 })
  reader.on('packet', (packet) => packets.push(packet))
  reader.parse(bytes)
  return packets
}

describe('packets of a client', () => {
  it('CONNECT is version 3.1.1 with a persistent session and a login', () => {
    const packet = connectPacket({ clientId: 'c', username: 'u', password: 'é', keepAliveSeconds: 300 })
    const body = [...encodeText('MQTT'), 4, 0xc0, 1, 44, 0, 1, 0x63, 0, 1, 0x75, 0, 2, 0xc3, 0xa9]
    expect([...packet]).toEqual([0x10, body.length, ...body])
  })

  it('are what another codec reads', () => {
    const login = { clientId: 'c', username: 'u', password: 'p', keepAliveSeconds: 0, cleanSession: true }
    const payload = 'é'.repeat(200)
    const sent = [connectPacket(login), subscribePacket(7, 'a/#', 2), publishPacket('a/b', payload, { qos: 1, id: 9 })]
    expect(
      decode(Buffer.concat([...sent, publishPacket('a/b', payload, { qos: 0, id: 9 }), PINGREQ, DISCONNECT])),
    ).toEqual([
      expect.objectContaining({
        cmd: 'connect',
        protocolVersion: 4,
        clean: true,
        keepalive: 0,
        clientId: 'c',
        username: 'u',
      }),
      expect.objectContaining({
        cmd: 'subscribe',
        messageId: 7,
        subscriptions: [expect.objectContaining({ topic: 'a/#', qos: 2 })],
      }),
      expect.objectContaining({ cmd: 'publish', messageId: 9, qos: 1, topic: 'a/b', payload: Buffer.from(payload) }),
      expect.objectContaining({ cmd: 'publish', qos: 0, topic: 'a/b', payload: Buffer.from(payload) }),
      expect.objectContaining({ cmd: 'pingreq' }),
      expect.objectContaining({ cmd: 'disconnect' }),
    ])
  })

  it('PUBLISH holds its length, topic, identifier and payload at any size', () => {
    fc.assert(
      fc.property(fc.nat(2), fc.nat(20_000), fc.integer({ min: 1, max: 65_535 }), (qos, size, id) => {
        const target = Buffer.alloc(21_000, 0xee)
        const payload = 'x'.repeat(size)
        const end = writePublish(target, 5, { flags: qos << 1, topic: encodeText('t/a'), id, payload })
        const lengthBytes = [2, 3, 4].find((at) => (target[4 + at] ?? 0) < 128)! - 1
        const length = target.subarray(6, 6 + lengthBytes).reduce((sum, byte, at) => sum + (byte & 127) * 128 ** at, 0)
        expect(target[5]).toBe(0x30 | (qos << 1))
        expect(end).toBe(6 + lengthBytes + length)
        const rest = [...(qos === 0 ? [] : [id >> 8, id & 255]), ...Buffer.from(payload)]
        expect(target.subarray(6 + lengthBytes, end)).toEqual(Buffer.from([...encodeText('t/a'), ...rest]))
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
