import { describe, expect, it } from 'vitest'
import { encodeFixedHeader, encodeLength, encodePacket, encodeText } from '../../../../shared/mqtt/encoding.ts'

describe('a remaining length', () => {
  // The table of [MQTT 3.1.1, 2.2.3].
  it.each([
    [0, [0x00]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [16_383, [0xff, 0x7f]],
    [16_384, [0x80, 0x80, 0x01]],
    [2_097_151, [0xff, 0xff, 0x7f]],
    [2_097_152, [0x80, 0x80, 0x80, 0x01]],
    [268_435_455, [0xff, 0xff, 0xff, 0x7f]],
  ])('of %i', (length, bytes) => {
    expect([...encodeLength(length)]).toEqual(bytes)
    expect([...encodeFixedHeader(0x30, length)]).toEqual([0x30, ...bytes])
  })
})

it('a packet is its first byte, its length and its parts', () => {
  const packet = encodePacket(0x82, Buffer.from([0, 1]), encodeText('é'), encodeText(Buffer.from([9])))
  expect([...packet]).toEqual([0x82, 9, 0, 1, 0, 2, 0xc3, 0xa9, 0, 1, 9])
})
