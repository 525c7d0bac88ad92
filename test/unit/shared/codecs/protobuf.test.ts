import { fromJson, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { openProtobuf } from '../../../../shared/codecs/protobuf.ts'
import { DEFAULT_POLICY } from '../../../../shared/policies/settings.ts'
import type { PayloadDecoder } from '../../../../shared/decoders/payload-decoder.ts'

/** What is decoded is encoded by another implementation. */
const SCHEMA = `
syntax = "proto3";
package plant;
enum State { OFF = 0; ON = 1; }
message At { int64 seconds = 1; int32 nanos = 2; }
message Reading {
  double temperature = 1;
  int64 energy = 2;
  uint64 serial = 3;
  bool on = 4;
  State state = 5;
  string text = 6;
  bytes raw = 7;
  repeated float levels = 8;
  map<string, int32> counts = 9;
  Reading inner = 10;
  oneof what { int32 a = 11; string b = 12; }
  optional int32 maybe = 13;
  sint32 signed = 14;
  fixed64 fixed = 15;
  At at = 16;
}`
const { root } = protobuf.parse(SCHEMA, { keepCase: true })
root.resolveAll()
const Reading = root.lookupType('plant.Reading')

/** A field as protoc writes it. */
const field = (name: string, number: number, type: string, more: object = {}) => {
  return { name, number, type: `TYPE_${type}`, label: 'LABEL_OPTIONAL', jsonName: name, ...more }
}
const COUNTS = {
  name: 'CountsEntry',
  field: [field('key', 1, 'STRING'), field('value', 2, 'INT32')],
  options: { mapEntry: true },
}
const READING = {
  name: 'Reading',
  nestedType: [COUNTS],
  oneofDecl: [{ name: 'what' }, { name: '_maybe' }],
  field: [
    field('temperature', 1, 'DOUBLE'),
    field('energy', 2, 'INT64'),
    field('serial', 3, 'UINT64'),
    field('on', 4, 'BOOL'),
    field('state', 5, 'ENUM', { typeName: '.plant.State' }),
    field('text', 6, 'STRING'),
    field('raw', 7, 'BYTES'),
    field('levels', 8, 'FLOAT', { label: 'LABEL_REPEATED' }),
    field('counts', 9, 'MESSAGE', { label: 'LABEL_REPEATED', typeName: '.plant.Reading.CountsEntry' }),
    field('inner', 10, 'MESSAGE', { typeName: '.plant.Reading' }),
    field('a', 11, 'INT32', { oneofIndex: 0 }),
    field('b', 12, 'STRING', { oneofIndex: 0 }),
    field('maybe', 13, 'INT32', { oneofIndex: 1, proto3Optional: true }),
    field('signed', 14, 'SINT32'),
    field('fixed', 15, 'FIXED64'),
    field('at', 16, 'MESSAGE', { typeName: '.google.protobuf.Timestamp' }),
  ],
}
const STATE = {
  name: 'State',
  value: [
    { name: 'OFF', number: 0 },
    { name: 'ON', number: 1 },
  ],
}
const TIMESTAMP = { name: 'Timestamp', field: [field('seconds', 1, 'INT64'), field('nanos', 2, 'INT32')] }
const set = fromJson(FileDescriptorSetSchema, {
  file: [
    { name: 'timestamp.proto', package: 'google.protobuf', syntax: 'proto3', messageType: [TIMESTAMP] },
    {
      name: 'plant.proto',
      package: 'plant',
      syntax: 'proto3',
      dependency: ['timestamp.proto'],
      messageType: [READING],
      enumType: [STATE],
    },
  ],
})
const content = Buffer.from(toBinary(FileDescriptorSetSchema, set)).toString('base64')

async function opened(
  options: Record<string, string> = { message: 'plant.Reading', zeros: 'leave_out' },
): Promise<PayloadDecoder> {
  const decoder = await openProtobuf({ kind: 'protobuf', content, options })
  if (typeof decoder === 'string') throw new Error(decoder)
  return decoder
}

async function read(payload: Uint8Array, options?: Record<string, string>): Promise<string> {
  const decoder = await opened(options)
  const record = { key: 'demo/one', value: payload, ms: 0, ns: 0, scheme: 1, headers: undefined } as const
  const text = decoder.read(payload, { record, stream: 'telemetry', policy: DEFAULT_POLICY })
  return text instanceof Uint8Array ? Buffer.from(text).toString() : `${text.code}: ${text.detail}`
}

const encode = (value: object): Uint8Array => Reading.encode(Reading.fromObject(value)).finish()

describe('a message of Protocol Buffers', () => {
  it('is its fields: integers exactly, bytes as text, enumerations by their names', async () => {
    const payload = encode({
      temperature: 21.5,
      energy: '-9007199254740993',
      serial: '18446744073709551615',
      on: true,
      state: 'ON',
      text: 'ü"',
      raw: Buffer.of(1, 2),
      levels: [0.5, 1],
      counts: { x: 1, __proto__x: 2 },
      inner: { temperature: -1 },
      b: 'chosen',
      maybe: 0,
      signed: -3,
      fixed: '5',
      at: { seconds: '1769860800', nanos: 5_000_001 },
    })
    expect(await read(payload)).toBe(
      '{"temperature":21.5,"energy":-9007199254740993,"serial":18446744073709551615,"on":true,"state":"ON","text":"ü\\"",' +
        '"raw":"AQI=","levels":[0.5,1],"counts":{"x":1,"__proto__x":2},"inner":{"temperature":-1},"b":"chosen","maybe":0,' +
        '"signed":-3,"fixed":5,"at":"2026-01-31T12:00:00.005000001Z"}',
    )
  })

  it('has the zeros that are not on the wire, unless they are to be left out', async () => {
    expect(await read(encode({ temperature: 0, a: 0 }), { message: 'plant.Reading' })).toBe(
      '{"temperature":0,"energy":0,"serial":0,"on":false,"state":"OFF","a":0,"signed":0,"fixed":0}',
    )
    expect(await read(encode({ temperature: 0 }))).toBe('{}')
    expect(await read(encode({ temperature: Number.NaN }))).toBe('{"temperature":nan}')
  })

  it('leaves out fields that the descriptor does not know', async () => {
    expect(await read(Buffer.of(0x98, 0x06, 1, ...encode({ temperature: 1 })))).toBe('{"temperature":1}')
  })

  it('is not as declared when it is cut off, or too deep', async () => {
    expect(await read(encode({ text: 'abc' }).subarray(0, 3))).toMatch(/^payload_not_as_declared: plant.Reading: /)
    let deep: object = { temperature: 1 }
    for (let depth = 0; depth < 40; depth++) deep = { inner: deep }
    expect(await read(encode(deep))).toMatch(/^payload_not_as_declared: .*recursion/)
    expect(await read(new Uint8Array(512 * 1024 + 1))).toMatch(/^payload_not_as_declared: more than/)
  })

  it('any bytes are JSON or a fault', async () => {
    const decoder = await opened()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const record = { key: 'demo/one', value: bytes, ms: 0, ns: 0, scheme: 1, headers: undefined } as const
        const text = decoder.read(bytes, { record, stream: 'telemetry', policy: DEFAULT_POLICY })
        if (text instanceof Uint8Array)
          JSON.parse(
            Buffer.from(text)
              .toString()
              .replace(/([:[,])nan/g, '$1null'),
          )
        else expect(text.code).toBe('payload_not_as_declared')
      }),
    )
  })
})

describe('a definition of Protocol Buffers', () => {
  it.each([
    [{}, 'the option message is undefined: there are google.protobuf.Timestamp, plant.Reading'],
    [
      { message: 'plant.Nothing' },
      'the option message is "plant.Nothing": there are google.protobuf.Timestamp, plant.Reading',
    ],
    [{ message: 'plant.Reading', zeros: 'x' }, 'the option zeros is'],
    [{ message: 'plant.Reading', port: '1' }, 'there is no option port'],
  ])('with the options %j is refused', async (options, wrong) => {
    expect(await openProtobuf({ kind: 'protobuf', content, options })).toContain(wrong)
  })

  it('of other bytes is refused, whatever they are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (bytes) => {
        const base64 = Buffer.from(bytes).toString('base64')
        expect(await openProtobuf({ kind: 'protobuf', content: base64, options: { message: 'x' } })).toBeTypeOf(
          'string',
        )
      }),
    )
  })
})
