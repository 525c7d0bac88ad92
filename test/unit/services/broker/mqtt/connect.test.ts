import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeConnect, parseConnect, type ConnectPacket } from '../../../../../services/broker/mqtt/connect.ts'
import { FrameReader, Peeked } from '../../../../../services/broker/mqtt/frame-reader.ts'
import { Refused } from '../../../../../services/broker/mqtt/packets.ts'
import { frame, packet, sized } from '../../../../mqtt/packets.ts'

function parse(bytes: Buffer): ConnectPacket {
  const reader = new FrameReader(100_000)
  reader.feed(bytes)
  expect(reader.peek()).toBe(Peeked.frame)
  return parseConnect(reader)
}

function refusal(bytes: Buffer): [string, number[] | undefined, string] {
  try {
    parse(bytes)
  } catch (error) {
    if (error instanceof Refused)
      return [error.code, error.answer === undefined ? undefined : [...error.answer], error.who]
    throw error
  }
  throw new Error('it was taken')
}

/** A CONNECT with the given pieces in place of the usual ones. */
function connect(pieces: { name?: Buffer; level?: number; flags?: number; rest?: Buffer; header?: number }): Buffer {
  const { name = sized('MQTT'), level = 4, flags = 2, rest = sized('c'), header = 0x10 } = pieces
  return frame(header, Buffer.concat([name, Buffer.from([level, flags, 0, 60]), rest]))
}

/** CONNECT of MQTT 5: properties with their length, and what follows. */
function v5(properties: Buffer, ...rest: Buffer[]): Buffer {
  const tail = rest.length === 0 ? [sized('c')] : rest
  return connect({ level: 5, flags: tail.length > 1 ? 0x06 : 2, rest: Buffer.concat([properties, ...tail]) })
}

const BAD_TEXT_WILL = Buffer.concat([Buffer.from([2, 0x01, 1]), sized('w'), Buffer.from([0, 1, 0xff])])

const VIOLATION = ['protocol_violation', undefined, '']

describe('parseConnect', () => {
  it('reads what it encoded', () => {
    const text = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
      .filter((it) => !/[\p{Cc}+#]/u.test(it) && it.isWellFormed())
    const will = fc.record({
      topic: text,
      payload: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
      qos: fc.nat({ max: 2 }),
      retain: fc.boolean(),
    })
    fc.assert(
      fc.property(text, fc.boolean(), fc.option(will, { nil: undefined }), (clientId, clean, last) => {
        const parsed = parse(encodeConnect(clientId, { clean, will: last }))
        const login = { username: undefined, password: undefined }
        expect(parsed).toEqual({ version: 4, clean, keepalive: 0, clientId, will: last, ...login })
      }),
    )
  })

  it('reads login, keepalive and both protocol levels', () => {
    for (const level of [3, 4] as const) {
      const bytes = packet.connect({ level, username: 'ä/b', password: 'geheim', keepalive: 300, clean: false })
      const { username, password, keepalive, clean, clientId } = parse(bytes)
      expect([username, password?.toString(), keepalive, clean, clientId]).toEqual(['ä/b', 'geheim', 300, false, 'c'])
    }
  })

  it.each<[string, Buffer]>([
    ['header flags', connect({ header: 0x11 })],
    ['another protocol', connect({ name: sized('HTTP') })],
    ['the reserved flag', connect({ flags: 0x03 })],
    ['will QoS 3', connect({ flags: 0x1e, rest: Buffer.concat([sized('c'), sized('w'), sized('x')]) })],
    ['a will QoS without will', connect({ flags: 0x0a })],
    ['will retain without will', connect({ flags: 0x22 })],
    ['a password without username', connect({ flags: 0x42, rest: Buffer.concat([sized('c'), sized('s')]) })],
    ['nothing behind the flags', frame(0x10, sized('MQTT'), Buffer.from([4, 2]))],
    ['no body', frame(0x10, Buffer.alloc(0))],
    ['bytes behind the end', connect({ rest: Buffer.concat([sized('c'), Buffer.from([0])]) })],
    ['a client id that is cut', connect({ rest: Buffer.from([0, 5, 0x61]) })],
    ['NUL in the client id', connect({ rest: sized('a\0b') })],
    ['a control character in the client id', connect({ rest: sized('a\u0085b') })],
    ['a surrogate in the client id', connect({ rest: Buffer.from([0, 3, 0xed, 0xa0, 0x80]) })],
    ['overlong UTF-8 in the client id', connect({ rest: Buffer.from([0, 2, 0xc0, 0xaf]) })],
    ['a username that is missing', connect({ flags: 0x82 })],
    ['NUL in the username', connect({ flags: 0x82, rest: Buffer.concat([sized('c'), sized('a\0')]) })],
    ['an empty will topic', connect({ flags: 0x06, rest: Buffer.concat([sized('c'), sized(''), sized('x')]) })],
    [
      'a wildcard in the will topic',
      connect({ flags: 0x06, rest: Buffer.concat([sized('c'), sized('a/+'), sized('x')]) }),
    ],
    [
      'a will payload that is cut',
      connect({ flags: 0x06, rest: Buffer.concat([sized('c'), sized('w'), Buffer.from([0, 9, 1])]) }),
    ],
  ])('refuses %s without an answer', (_name, bytes) => {
    expect(refusal(bytes)).toEqual(VIOLATION)
  })

  it.each<[string, number, Buffer]>([
    ['a property that does not belong there', 0x81, v5(Buffer.from([2, 0x01, 1]))],
    ['an unknown property', 0x81, v5(Buffer.from([2, 0x7f, 1]))],
    ['a property that is cut', 0x81, v5(Buffer.from([2, 0x11, 0]))],
    ['properties that are longer than the packet', 0x81, v5(Buffer.from([0x7f, 0x26]))],
    ['a property twice', 0x82, v5(Buffer.from([6, 0x21, 0, 1, 0x21, 0, 1]))],
    ['receive maximum 0', 0x82, v5(Buffer.from([3, 0x21, 0, 0]))],
    ['maximum packet size 0', 0x82, v5(Buffer.from([5, 0x27, 0, 0, 0, 0]))],
    ['request problem information 2', 0x82, v5(Buffer.from([2, 0x17, 2]))],
    ['NUL in a user property', 0x81, v5(Buffer.concat([Buffer.from([8, 0x26]), sized('a'), sized('\0b')]))],
    ['an authentication method', 0x8c, v5(Buffer.concat([Buffer.from([4, 0x15]), sized('k')]))],
    ['a control character in the client id', 0x85, v5(Buffer.from([0]), sized('a\nb'))],
    ['a client id of 257 bytes', 0x85, v5(Buffer.from([0]), sized('x'.repeat(257)))],
    ['nothing behind the flags', 0x81, connect({ level: 5, rest: Buffer.alloc(0) })],
    ['a will that is not the text it says', 0x99, v5(Buffer.from([0]), sized('c'), BAD_TEXT_WILL)],
  ])('answers %s of MQTT 5 with a reason', (_name, reason, bytes) => {
    const [, answer] = refusal(bytes)
    expect(answer?.slice(2, 4)).toEqual([0, reason])
  })

  it('reads what MQTT 5 adds', () => {
    const properties = Buffer.from([18, 0x11, 0, 0, 0, 10, 0x21, 0, 5, 0x27, 0, 1, 0, 0, 0x22, 0, 3, 0x17, 0])
    expect(parse(v5(properties)).properties).toEqual({
      sessionExpiry: 10,
      receiveMaximum: 5,
      maximumPacketSize: 65_536,
      topicAliasMaximum: 3,
      wantsReasons: false,
    })
    expect(parse(v5(Buffer.from([0]), sized(''))).clientId).toBe('')
  })

  it('answers other levels with 1, and bad client ids with 2', () => {
    const answered = (code: number) => [0x20, 2, 0, code]
    expect(refusal(connect({ level: 6 }))).toEqual(['protocol_version', answered(1), ''])
    expect(refusal(connect({ level: 0x84 }))).toEqual(['protocol_version', answered(1), ''])
    expect(refusal(connect({ name: sized('MQIsdp'), level: 4 }))).toEqual(['protocol_version', answered(1), ''])
    expect(refusal(connect({ flags: 0, rest: sized('') }))).toEqual(['client_id_invalid', answered(2), ''])
    expect(refusal(connect({ name: sized('MQIsdp'), level: 3, rest: sized('') }))).toEqual([
      'client_id_invalid',
      answered(2),
      '',
    ])
    expect(refusal(connect({ rest: sized('x'.repeat(257)) }))[0]).toBe('client_id_invalid')
    expect(parse(connect({ rest: sized('x'.repeat(256)) })).clientId).toHaveLength(256)
    expect(parse(connect({ rest: sized('') })).clientId).toBe('')
  })

  it('never throws anything but a refusal, whatever the bytes', () => {
    const valid = packet.connect({ username: 'a/1', password: 's' })
    const change = fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 }))
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), fc.nat({ max: valid.length }), (changes, cut) => {
        const body = Buffer.from(valid.subarray(2, 2 + cut))
        for (const [at, byte] of changes) if (at < body.length) body[at] = byte
        try {
          parse(frame(0x10, body))
        } catch (error) {
          if (!(error instanceof Refused)) throw error
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
