import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable, type Decoded } from '../../../../shared/decoders/decode.ts'
import { MAX_NAMES } from '../../../../shared/decoders/field-names.ts'
import { MAX_FIELD_NAME_BYTES } from '../../../../shared/names.ts'
import { MAX_DEPTH, MAX_FIELDS } from '../../../../shared/decoders/json-reading.ts'
import { MAX_STRING_BYTES } from '../../../../shared/decoders/json-values.ts'
import { MAX_READINGS } from '../../../../shared/decoders/json.ts'
import { MAX_FAULTS } from '../../../../shared/faults.ts'
import { formatInstant, MAX_INSTANT, toNanoseconds, type LogRecord } from '../../../../shared/telemetry.ts'

const received = { ms: 1_769_860_800_000, ns: 999_999 }

function record(payload: unknown, key = 'demo/first', topic?: string): LogRecord {
  const value = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
  return { key, value, ...received, headers: topic === undefined ? undefined : { topic } }
}

const codesOf = (faults: Decoded['faults']) =>
  [...faults.values()].flatMap(({ first }) => first.map(({ code }) => code))

function decode(payload: unknown) {
  const { points, faults, readings } = decodeRecords([record(payload)], new SeriesTable())
  return { fields: points.series.map(({ field }) => field), codes: codesOf(faults), readings, points }
}

const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

describe('limits hold to the last allowed one', () => {
  it.each([
    ['readings', (n: number) => Array.from({ length: n }, () => ({ a: 1 })), MAX_READINGS, 'payload_too_many_readings'],
    [
      'fields',
      (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`f${i}`, i])),
      MAX_FIELDS,
      'reading_too_wide',
    ],
    [
      'fields that are null',
      (n: number) => `{${Array.from({ length: n }, (_, i) => `"f${i}":${i === 0 ? 1 : 'null'}`).join(',')}}`,
      MAX_FIELDS,
      'reading_too_wide',
    ],
    ['depth', nested, MAX_DEPTH, 'payload_too_deep'],
    ['bytes of a string', (n: number) => ({ a: 'x'.repeat(n) }), MAX_STRING_BYTES, 'value_too_long'],
    [
      'bytes of a string beyond ASCII',
      (n: number) => ({ a: 'é'.repeat(n / 2) + 'x'.repeat(n % 2) }),
      MAX_STRING_BYTES,
      'value_too_long',
    ],
    [
      'bytes of an escaped string',
      (n: number) => `{"a":"${'\\u00e9'.repeat(n / 2)}${'\\n'.repeat(n % 2)}"}`,
      MAX_STRING_BYTES,
      'value_too_long',
    ],
    ['bytes of a name', (n: number) => ({ ['x'.repeat(n)]: 1 }), MAX_FIELD_NAME_BYTES, 'field_name_invalid'],
    [
      'bytes of a flattened name',
      (n: number) => ({ outer: { ['x'.repeat(n - 6)]: 1 } }),
      MAX_FIELD_NAME_BYTES,
      'field_name_invalid',
    ],
  ])('%s', (_, make, limit, code) => {
    expect(decode(make(limit)).codes).toEqual([])
    const beyond = decode(make(limit + 1))
    expect(beyond.codes).toEqual([code])
    // The last field of a reading that is too wide is refused; the others are stored.
    expect(beyond.readings).toBe(code === 'reading_too_wide' ? 1 : 0)
    if (code === 'reading_too_wide') expect(beyond.points.values).toEqual(decode(make(limit)).points.values)
  })
})

describe('faults of one record', () => {
  it('are listed up to a hundred, and all counted, by code', () => {
    const payload = [
      Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`f${i}`, i % 2 ? [[i]] : i])),
      5,
      { 'x\ud800': 1 },
    ]
    const { faults, points } = decodeRecords([record({ a: 1 }), record(payload)], new SeriesTable())
    expect([...faults.keys()]).toEqual([1])
    expect(faults.get(1)?.total).toBe(77)
    const many = Array.from({ length: 9000 }, () => [5])
    const { faults: bounded } = decodeRecords([record(many)], new SeriesTable())
    expect(bounded.get(0)?.first).toHaveLength(MAX_FAULTS)
    expect([...(bounded.get(0)?.counts ?? [])]).toEqual([['reading_not_object', 9000]])
    expect(points.values).toHaveLength(76)
  })

  it('name a field whose name is too long by its beginning', () => {
    const { faults } = decodeRecords([record({ outer: { ['é'.repeat(600)]: 1 }, a: 1 })], new SeriesTable())
    expect(faults.get(0)?.first).toMatchObject([{ path: `outer.${'é'.repeat(32)}...`, code: 'field_name_invalid' }])
  })
})

describe('payloads made to hurt', () => {
  it.each([
    ['objects 100,000 deep', nested(100_000), 'payload_too_deep'],
    ['arrays 100,000 deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'reading_not_object'],
    ['arrays 100,000 deep as a value', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'list_left_out'],
    ['never closed', '['.repeat(100_000), 'payload_not_json'],
    ['10 MB', { a: 'x'.repeat(10_000_000) }, 'value_too_long'],
    ['100,000 digits', `{"a":${'9'.repeat(100_000)}}`, 'value_out_of_range'],
    ['100,000 digits of a time', `{"ts":${'9'.repeat(100_000)},"a":1}`, 'time_out_of_range'],
    ['a key of 1 MB', { ['x'.repeat(1_000_000)]: 1 }, 'field_name_invalid'],
    ['NUL and more behind the end', '{"a":1}\0{', 'payload_not_json'],
  ])('%s', (_, payload, code) => {
    expect(decode(payload).codes).toEqual([code])
  })

  it('invalid UTF-8 in a key is refused again and again, and never learnt', () => {
    const table = new SeriesTable()
    const bad: LogRecord = { ...record(''), value: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) }
    for (let n = 0; n < 3; n++) {
      expect(codesOf(decodeRecords([bad, bad], table).faults)).toEqual(['payload_not_utf8', 'payload_not_utf8'])
    }
  })
})

describe('time', () => {
  it('of nanoseconds survives, in every unit', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 10n ** 17n, max: toNanoseconds(MAX_INSTANT) }), (total) => {
        const point = { ms: Number(total / 1_000_000n), ns: Number(total % 1_000_000n) }
        const digits = String(total)
        const written = [
          digits,
          `${digits.slice(0, -9)}.${digits.slice(-9)}`,
          `${digits.slice(0, -6)}.${digits.slice(-6)}`,
          `${digits.slice(0, -3)}.${digits.slice(-3)}`,
          `${digits[0]}.${digits.slice(1)}e${digits.length - 1}`,
          `"${formatInstant(point)}"`,
        ]
        // Received then, because what lies ahead is refused.
        const sent = { ...record(`[${written.map((ts) => `{"ts":${ts},"a":1}`).join(',')}]`), ms: point.ms }
        const { points } = decodeRecords([sent], new SeriesTable())
        expect(points.ms).toEqual(written.map(() => point.ms))
        expect(points.ns).toEqual(written.map(() => point.ns))
      }),
    )
  })

  it('that is not given is the receive time, each element a nanosecond later', () => {
    const { points } = decode([{ a: 1 }, { a: [[]] }, { a: 2, ts: null }])
    expect([points.ms, points.ns]).toEqual([
      [received.ms, received.ms + 1],
      [999_999, 1],
    ])
  })
})

describe('the series table', () => {
  it('gives one object per series, over records, runs and spellings of the default stream', () => {
    const table = new SeriesTable()
    const one = decodeRecords([record({ a: 1 }), record({ a: 2 }, 'demo/first', 't/demo/first/telemetry')], table)
    const two = decodeRecords(
      [record({ a: true, b: { c: 1 } }), record({ a: 3 }, 'demo/first', 't/demo/first/telemetry/telemetry')],
      table,
    )
    const [first, second] = one.points.series
    expect(second).toBe(first)
    expect(two.points.series[2]).toBe(first)
    expect(two.points.series[0]).toMatchObject({ field: 'a', type: 'boolean' })
  })

  it('stays within its bound, and keeps what is in use', () => {
    const table = new SeriesTable({ maxSeries: 100 })
    const inUse = decodeRecords([record({ a: 1 })], table).points.series[0]
    for (let n = 0; n < 1000; n++) {
      const { points } = decodeRecords([record({ a: 1 }), record({ b: 1 }, `demo/device-${n}`)], table)
      expect(points.series[0]).toBe(inUse)
      expect(table.size).toBeLessThanOrEqual(102)
    }
  })

  it('stays within its bound when one device makes up names', () => {
    const table = new SeriesTable({ maxSeries: 100 })
    for (let n = 0; n < 3 * MAX_NAMES; n += 100) {
      decodeRecords([record(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${n + i}`, 1])))], table)
      expect(table.size).toBeLessThanOrEqual(10_300)
    }
  })

  it.each([
    ['demo', undefined],
    ['de mo/a', undefined],
    ['demo/first', 't/other/first/telemetry/x'],
    ['demo/first', 'other/topic'],
  ])('key %s with topic %s names no device', (key, topic) => {
    const { faults, points } = decodeRecords([record({ a: 1 }, key, topic)], new SeriesTable())
    expect(faults.get(0)?.first).toMatchObject([{ element: null, path: null, code: 'topic_unknown' }])
    expect(points.series).toEqual([])
  })

  it('the device is that of the key, whatever it was called in the topic, and the stream that of the topic', () => {
    const table = new SeriesTable()
    const sent: [key: string, topic: string | undefined][] = [
      ['demo/first', undefined],
      ['demo/u1', 't/demo/first/telemetry'],
      ['demo/first', 't/demo/first/telemetry/x'],
      ['demo/u1', 't/demo/first/telemetry/x'],
      ['demo/first', 't/demo/renamed/telemetry/x'],
      ['demo/first', 't/demo/renamed/telemetry'],
      ['demo/first', 't/demo/first/telemetry/telemetry'],
      ['demo/u1', 't/demo/renamed/telemetry'],
    ]
    const records = [...sent, ...sent].map(([key, topic]) => record({ a: 1 }, key, topic))
    const { faults, points } = decodeRecords(records, table)
    expect(faults.size).toBe(0)
    const [first, again] = [points.series.slice(0, sent.length), points.series.slice(sent.length)]
    expect(first.map(({ device, stream }) => `${device} ${stream}`)).toEqual([
      ...['first telemetry', 'u1 telemetry', 'first x', 'u1 x', 'first x', 'first telemetry', 'first telemetry'],
      'u1 telemetry',
    ])
    for (const [i, series] of again.entries()) expect(series).toBe(first[i])
    // One object for each series, by whatever topic its records came.
    expect(new Set(points.series).size).toBe(4)
  })
})
