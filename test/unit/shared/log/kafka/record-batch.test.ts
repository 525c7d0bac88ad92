import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../../../../shared/log/kafka/crc32c.ts'
import {
  decodeRecordBatches,
  encodeRecordBatch,
  recordSizeBound,
} from '../../../../../shared/log/kafka/record-batch.ts'
import type { LogRecord } from '../../../../../shared/telemetry.ts'

const require = createRequire(import.meta.url)

interface KafkajsRecord {
  readonly offset: string
  readonly timestamp: string
  readonly key: Buffer
  readonly value: Buffer
  readonly headers: Record<string, Buffer>
}

// An independent reader of the same format: the cast states what it gives.
const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object
const decodeByKafkajs = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: object,
) => Promise<{ records: KafkajsRecord[]; maxTimestamp: string }>

/** Two records as they were sent before stamps had a scheme. */
const WITHOUT_SCHEMES =
  'AAAAAAAAAAAAAACg/////wI51sUTAAAAAAABAAABnBPsngAAAAGcE+yeAf//////////////////AAAAAmYAAAAUZGVtby9maXJzdDJbeyJhIjoxfSx7ImEi' +
  'OjJ9LHsiYSI6M31dAgRucww5OTk5OTh0AAICFGRlbW8vZmlyc3QOeyJiIjoxfQIKdG9waWM4dC9kZW1vL2ZpcnN0L3RlbGVtZXRyeS9wb3dlcg=='

const text = fc.string({ unit: 'binary', maxLength: 20 })
const record: fc.Arbitrary<LogRecord> = fc.record({
  key: text,
  value: fc.uint8Array({ maxLength: 300 }),
  ms: fc.oneof(fc.nat(), fc.integer({ min: 0, max: 9_223_372_036_854 })),
  ns: fc.oneof(fc.constant(0), fc.nat(999_999)),
  scheme: fc.constantFrom(undefined, 1 as const, 2 as const),
  headers: fc.option(
    fc
      .array(fc.tuple(fc.oneof(text, fc.constantFrom('ns', '__proto__', 'topic', '1')), text), {
        minLength: 1,
        maxLength: 4,
      })
      .map((pairs) => Object.fromEntries(pairs)),
    { nil: undefined },
  ),
})
const records = fc.array(record, { minLength: 1, maxLength: 20 })

/** As a broker that appends the batch at `offset` would. */
function at(offset: number, batch: Buffer): Buffer {
  const copy = Buffer.from(batch)
  copy.writeBigInt64BE(BigInt(offset), 0)
  return copy
}

function plain(list: readonly LogRecord[]): unknown[] {
  return list.map(({ key, value, ms, ns, scheme, headers }) => {
    return [
      key,
      Buffer.from(value).toString('hex'),
      ms,
      ns,
      scheme,
      headers === undefined ? undefined : Object.entries(headers),
    ]
  })
}

describe('record batches', () => {
  it('give back every record, from any offset on', () => {
    fc.assert(
      fc.property(fc.array(records, { minLength: 1, maxLength: 4 }), fc.nat(90), (batches, skip) => {
        const all = batches.flat()
        let offset = 1_000_000_007
        const bytes = batches.map((list) => {
          const batch = at(offset, encodeRecordBatch(list))
          offset += list.length
          return batch
        })
        const from = 1_000_000_007 + (skip % all.length)
        const { runs, next } = decodeRecordBatches(Buffer.concat(bytes), from)
        expect(next).toBe(offset)
        expect(runs.map(({ firstOffset }) => firstOffset)).toEqual([from])
        expect(plain(runs.flatMap((run) => run.records))).toEqual(plain(all.slice(skip % all.length)))
      }),
    )
  })

  it('of before stamps had a scheme give back what was written', () => {
    const written = Buffer.from(WITHOUT_SCHEMES, 'base64')
    const topic = 't/demo/first/telemetry/power'
    const key = 'demo/first'
    const array = Buffer.from('[{"a":1},{"a":2},{"a":3}]')
    const old: LogRecord[] = [
      { key, value: array, ms: 1_769_860_800_000, ns: 999_998, headers: undefined },
      { key, value: Buffer.from('{"b":1}'), ms: 1_769_860_800_001, ns: 0, headers: { topic } },
    ]
    expect(plain(decodeRecordBatches(written, 0).runs.flatMap((run) => run.records))).toEqual(plain(old))
    expect(encodeRecordBatch(old)).toEqual(written)
  })

  it('are what an independent reader of the protocol reads', async () => {
    await fc.assert(
      fc.asyncProperty(records, async (list) => {
        const read = await decodeByKafkajs(new Decoder(at(7, encodeRecordBatch(list))))
        expect(read.records.map(({ offset }) => Number(offset))).toEqual(list.map((_, i) => 7 + i))
        expect(read.records.map(({ timestamp }) => Number(timestamp))).toEqual(list.map(({ ms }) => ms))
        expect(read.records.map(({ key }) => key.toString())).toEqual(
          list.map(({ key }) => Buffer.from(key).toString()),
        )
        expect(read.records.map(({ value }) => value.toString('hex'))).toEqual(
          list.map(({ value }) => Buffer.from(value).toString('hex')),
        )
        expect(Number(read.maxTimestamp)).toBe(Math.max(...list.map(({ ms }) => ms)))
      }),
    )
  })

  it('take no more than their bound', () => {
    fc.assert(
      fc.property(records, (list) => {
        const bound = list.reduce((sum, one) => sum + recordSizeBound(one), 61)
        expect(encodeRecordBatch(list).length).toBeLessThanOrEqual(bound)
      }),
    )
  })

  it('are refused when a byte is wrong, and left for the next fetch when the end is missing', () => {
    fc.assert(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, where, flip) => {
        const batch = encodeRecordBatch(list)
        const damaged = Buffer.from(batch)
        // Behind the checksum: what is before it is the broker's to write.
        const place = 21 + (where % (batch.length - 21))
        damaged.writeUInt8((damaged[place] ?? 0) ^ flip, place)
        expect(() => decodeRecordBatches(damaged, 0)).toThrow(expect.objectContaining({ code: 'log_corrupt' }))
        const cut = batch.subarray(0, where % batch.length)
        expect(decodeRecordBatches(cut, 0)).toMatchObject({ runs: [], next: 0 })
      }),
    )
  })
})

describe('crc32c', () => {
  // RFC 3720, B.4.
  it.each([
    ['32 bytes of zeroes', Buffer.alloc(32), 0x8a9136aa],
    ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['32 incrementing bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    ['nine digits', Buffer.from('123456789'), 0xe3069283],
  ])('of %s', (_, bytes, expected) => {
    expect(crc32c(bytes, 0, bytes.length)).toBe(expected)
  })
})
