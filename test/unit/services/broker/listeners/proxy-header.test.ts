import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseProxyHeader } from '../../../../../services/broker/listeners/proxy-header.ts'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n')
const line = (text: string) => parseProxyHeader(Buffer.from(text, 'latin1'))

function binary(command: number, family: number, body: Buffer, length = body.length): Buffer {
  const head = Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 0xff])])
  return Buffer.concat([head, body])
}

const TCP4 = Buffer.from([203, 0, 113, 7, 10, 0, 0, 1, 0x30, 0x39, 0x07, 0x5b])
const TCP6 = Buffer.concat([Buffer.from('20010db8000000000000000000000001', 'hex'), Buffer.alloc(16), Buffer.alloc(4)])
const MAPPED = Buffer.concat([Buffer.from('00000000000000000000ffffcb007107', 'hex'), Buffer.alloc(20)])

describe('a PROXY header', () => {
  it.each([
    ['PROXY TCP4 203.0.113.7 10.0.0.1 12345 1883\r\n\x10', 44, '203.0.113.7'],
    ['PROXY TCP6 2001:db8::1 ::1 65535 0\r\n', 36, '2001:db8::1'],
    ['PROXY UNKNOWN\r\n', 15, undefined],
    ['PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n', 59, undefined],
  ])('of version 1: %j', (text, length, address) => {
    expect(line(text)).toEqual({ state: 'complete', length, address })
  })

  it.each([
    [binary(0x21, 0x11, TCP4), '203.0.113.7'],
    [binary(0x21, 0x21, TCP6), '2001:db8:0:0:0:0:0:1'],
    [binary(0x21, 0x21, MAPPED), '203.0.113.7'],
    [binary(0x21, 0x11, Buffer.concat([TCP4, Buffer.alloc(200, 4)])), '203.0.113.7'],
    [binary(0x20, 0x00, Buffer.alloc(0)), undefined],
    [binary(0x20, 0x11, TCP4), undefined],
    [binary(0x21, 0x00, Buffer.alloc(5)), undefined],
  ])('of version 2', (bytes, address) => {
    expect(parseProxyHeader(Buffer.concat([bytes, Buffer.from('more')]))).toEqual({
      state: 'complete',
      length: bytes.length,
      address,
    })
  })

  it.each([
    ['\x10\x0c\x00\x04MQTT', 'CONNECT without a header'],
    ['PROXY TCP4 203.0.113.7 10.0.0.1 12345\r\n', 'a port is missing'],
    ['PROXY TCP4 203.0.113.7 10.0.0.1 12345 65536\r\n', 'a port beyond 65535'],
    ['PROXY TCP4 203.0.113.7 10.0.0.1 012 1883\r\n', 'a leading zero'],
    ['PROXY TCP4 203.0.113.256 10.0.0.1 1 2\r\n', 'no IPv4'],
    ['PROXY TCP4 ::1 10.0.0.1 1 2\r\n', 'the other family'],
    ['PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n', 'a zone'],
    ['PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n', 'another protocol'],
    ['PROXY  TCP4 203.0.113.7 10.0.0.1 1 2\r\n', 'two spaces'],
    [`PROXY UNKNOWN ${'x'.repeat(100)}\r\n`, 'longer than 107 bytes'],
    ['proxy TCP4 203.0.113.7 10.0.0.1 1 2\r\n', 'small letters'],
  ])('is refused: %j (%s)', (text) => {
    expect(line(text)).toMatchObject({ state: 'invalid' })
  })

  it.each([
    ['version 1 of the binary form', binary(0x11, 0x11, TCP4)],
    ['an unknown command', binary(0x22, 0x11, TCP4)],
    ['UDP', binary(0x21, 0x12, TCP4)],
    ['a UNIX socket', binary(0x21, 0x31, Buffer.alloc(216))],
    ['too short for its addresses', binary(0x21, 0x11, TCP4.subarray(0, 11))],
    ['too long', binary(0x21, 0x11, TCP4, 4097)],
  ])('is refused: %s', (_name, bytes) => {
    expect(parseProxyHeader(bytes)).toMatchObject({ state: 'invalid' })
  })

  it('is waited for while it is not whole, and asks for no more than 4,112 bytes', () => {
    const whole = fc.constantFrom(
      Buffer.from('PROXY TCP4 203.0.113.7 10.0.0.1 12345 1883\r\n'),
      binary(0x21, 0x11, TCP4),
      binary(0x21, 0x21, TCP6),
    )
    fc.assert(
      fc.property(whole, fc.nat(), (bytes, at) => {
        expect(parseProxyHeader(bytes.subarray(0, at % bytes.length))).toEqual({ state: 'more' })
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 200 }), fc.boolean(), (bytes, signed) => {
        const all = Buffer.concat([signed ? SIGNATURE : Buffer.alloc(0), bytes, Buffer.alloc(4200)])
        expect(parseProxyHeader(all).state).not.toBe('more')
      }),
    )
  })
})
