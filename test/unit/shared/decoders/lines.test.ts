import { Point } from '@influxdata/influxdb-client'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { keyOfLogin, LINES_HEADER } from '../../../../shared/record.ts'
import { STAMP_STEP } from '../../../../shared/stamps/scheme.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'

const MS = 1_769_860_800_000
const NS = `${MS}000000`

/** What becomes of lines that a device's login posted, or an application's. */
function decode(text: string | Uint8Array, { by = 'pump-1', unit = 'ns' } = {}) {
  const headers = { [LINES_HEADER]: unit, ...(by === 'app' ? { topic: 't/acme/telemetry', login: 'app' } : {}) }
  const key = by === 'app' ? keyOfLogin('acme', 'app') : `acme/${by}`
  const record: LogRecord = { key, value: Buffer.from(text), ms: MS, ns: 0, scheme: 1, headers }
  const { points, others, faults } = decodeRecords([record], new SeriesTable())
  const all = [{ device: by, stream: undefined, points }, ...others].flatMap(({ device, stream, points: some }) =>
    some.series.map((series, i) => {
      const at = ((some.ms[i] ?? 0) - MS) * 1e6 + (some.ns[i] ?? 0)
      return [`${device}/${stream ?? series.stream}/${series.field}`, some.values[i], at] as const
    }),
  )
  const wrong = faults.get(0)?.first.map(({ element, path, code }) => [element, path, code]) ?? []
  return { all, values: Object.fromEntries(all.map(([name, value]) => [name, value])), wrong }
}

describe('lines that are posted', () => {
  it('are of the device that a tag names, in the stream of their measurement', () => {
    const { values, wrong } = decode(
      [
        `cpu,host=a,cpu=cpu0,az=x usage=1.5 ${NS}`,
        `cpu,cpu=cpu0,host=a,az=x idle=2 ${NS}`,
        `mem,host=b,device=c free=3i ${NS}`,
        `°C,domain=sensor,entity_id=küche value=21.5,friendly_name_str="Küche \\"1\\"" ${NS}`,
      ].join('\n'),
      { by: 'app' },
    )
    expect(wrong).toEqual([])
    expect(values).toEqual({
      'a/cpu/usage{az="x",cpu="cpu0"}': 1.5,
      'a/cpu/idle{az="x",cpu="cpu0"}': 2,
      'c/mem/free{host="b"}': 3,
      'küche/°C/value{domain="sensor"}': 21.5,
      'küche/°C/friendly_name_str{domain="sensor"}': 'Küche "1"',
    })
  })

  it('are all of the device whose login posted them; a tag that says otherwise is kept in the name', () => {
    const { values, wrong } = decode(`cpu,host=pump-1 a=1\ncpu,host=other a=2\ncpu a=3\ncpu,name=x,host=pump-1 a=4`)
    expect(wrong).toEqual([])
    expect(values).toEqual({
      'pump-1/cpu/a': 3,
      'pump-1/cpu/a{host="other"}': 2,
      'pump-1/cpu/a{name="x"}': 4,
    })
  })

  it('lose nothing but what is bad in them', () => {
    const { values, wrong } = decode(
      'm a=1,b=abc,c=2\nm\nm d="open\nm e="x",f=1e999\n\n# a comment "\nm,t g=1\nm h=1 1x\nm i=nan,j=9223372036854775808i\nm k=t',
    )
    expect(values).toEqual({ 'pump-1/m/a': 1, 'pump-1/m/c': 2, 'pump-1/m/e': 'x', 'pump-1/m/k': true })
    expect(wrong).toEqual([
      [0, 'b', 'line_invalid'],
      [1, null, 'line_invalid'],
      [2, null, 'line_invalid'],
      [3, 'f', 'line_invalid'],
      [4, null, 'line_invalid'],
      [5, null, 'line_invalid'],
      [6, 'j', 'line_invalid'],
    ])
    const bytes = Buffer.concat([Buffer.from('m a=1\nm b='), Buffer.from([0x22, 0xff, 0x22]), Buffer.from('\nm c=3')])
    expect(decode(bytes)).toMatchObject({
      values: { 'pump-1/m/a': 1, 'pump-1/m/c': 3 },
      wrong: [[1, null, 'payload_not_utf8']],
    })
  })

  it('have integers of 64 bits, exact, booleans as they may be written, and texts with escapes and line feeds', () => {
    const line = 'm a=9223372036854775807i,b=-9223372036854775808i,c=18446744073709551615u,d=T,e=false,f=.5,g=-1.e3'
    const { values } = decode(`${line},h="a\\"b\\\\c\nd=1,e\\f",i\\ \\,\\=j=7i`)
    expect(Object.fromEntries(Object.entries(values).map(([name, value]) => [name.slice(9), value]))).toEqual({
      ...{ a: 9223372036854775807n, b: -9223372036854775808, c: 18446744073709551615n, d: true, e: false },
      ...{ f: 0.5, g: -1000, h: 'a"b\\c\nd=1,e\\f', 'i ,=j': 7 },
    })
  })

  it('name their device and their stream, or are refused alone', () => {
    const long = 'x'.repeat(200)
    const { values, wrong } = decode(`m a=1\nm,host=${long} a=1\n${long},host=b a=1\nm,host=b a=1`, { by: 'app' })
    expect(values).toEqual({ 'b/m/a': 1 })
    expect(wrong).toEqual([
      [0, null, 'device_tag_missing'],
      [1, null, 'name_invalid'],
      [2, null, 'name_invalid'],
    ])
  })

  it.each([
    ['ns', `${MS}000001`, 1],
    ['us', `${MS}001`, 1000],
    ['ms', `${MS + 1}`, 1e6],
    ['s', `${MS / 1000 - 1}`, -1e9],
    ['m', `${MS / 60_000 - 1}`, -60e9],
    ['h', `${Math.floor(MS / 3_600_000)}`, 0],
  ])('have times in %s', (unit, time, at) => {
    expect(decode(`m a=1 ${time}`, { unit }).all).toEqual([['pump-1/m/a', 1, at]])
  })

  it('have times of their own where they say none, and none of before 1970', () => {
    const { all, wrong } = decode('m a=1\nm a=2\nm a=3 -1\nm a=4 99999999999999999999999999999999999999')
    expect(all).toEqual([
      ['pump-1/m/a', 1, 0],
      ['pump-1/m/a', 2, STAMP_STEP],
    ])
    expect(wrong).toEqual([
      [2, null, 'time_out_of_range'],
      [3, null, 'time_out_of_range'],
    ])
  })

  it('are what a client of InfluxDB wrote', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((one) => !/[\p{Cc}\\]/u.test(one))
    const value = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      // It rounds what it writes as an integer to a double.
      fc.maxSafeInteger().map(BigInt),
      fc.boolean(),
      fc.string({ unit: 'grapheme', maxLength: 20 }).map((one) => one.toWellFormed()),
    )
    const line = fc.record({
      measurement: text.filter((one) => !one.startsWith('#') && one.trim() === one),
      tags: fc.dictionary(text, text, { maxKeys: 4 }),
      fields: fc.dictionary(text, value, { minKeys: 1, maxKeys: 4 }),
    })
    fc.assert(
      fc.property(line, ({ measurement, tags, fields }) => {
        const point = new Point(measurement).timestamp(NS)
        for (const [key, one] of Object.entries(tags)) point.tag(key, one)
        for (const [key, one] of Object.entries(fields)) {
          if (typeof one === 'number') point.floatField(key, one)
          else if (typeof one === 'bigint') point.intField(key, one.toString())
          else if (typeof one === 'boolean') point.booleanField(key, one)
          else point.stringField(key, one)
        }
        const { all, wrong } = decode(point.toLineProtocol() ?? '', { by: 'nobody' })
        expect(wrong).toEqual([])
        const keys = Object.keys(tags).sort()
        const labels = keys.map((key) => `${key}=${JSON.stringify(tags[key])}`)
        const suffix = labels.length === 0 ? '' : `{${labels.join(',')}}`
        const expected = Object.entries(fields).map(([key, one]): unknown => {
          const exact = typeof one === 'bigint' && BigInt(Number(one)) === one ? Number(one) : one
          return [`nobody/${measurement}/${key}${suffix}`, exact, 0]
        })
        expect(new Set(all.map((one) => JSON.stringify(one, big)))).toEqual(
          new Set(expected.map((one) => JSON.stringify(one, big))),
        )
      }),
    )
  })
})

function big(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : Object.is(value, -0) ? 0 : value
}
