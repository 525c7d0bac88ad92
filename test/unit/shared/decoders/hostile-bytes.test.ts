import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { isErrorCode } from '../../../../shared/errors.ts'
import { MAX_INSTANT, type LogRecord } from '../../../../shared/telemetry.ts'

const received = Date.UTC(2026, 10, 29, 12)

function record(value: Uint8Array | string): LogRecord {
  return { key: 'demo/first', value: Buffer.from(value), ms: received, ns: 0, scheme: 1, headers: undefined }
}

const scalar = fc.constantFrom(
  ...'1 -2.5 "a" "" true null nan 9007199254740993 1795911600 "2026-11-29 01:00:00"'.split(/ (?=[^ ]*)/),
)
const label = fc.constantFrom(
  ...'id name n v value t ts time values bn bt bv u s vs vb q flag switcher value_type sensordatavalues a'.split(' '),
)

/** JSON made of the words that decide about the shape of a list, closed or not. */
const { value } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, scalar, tie('object'), tie('array')),
  object: fc
    .array(fc.tuple(label, tie('value')), { maxLength: 5 })
    .map((members) => `{${members.map(([key, one]) => `"${key}":${one}`).join(',')}}`),
  array: fc.array(tie('value'), { maxLength: 6 }).map((elements) => `[${elements.join(',')}]`),
}))

const word = fc.constantFrom(...'m ,a=b a=1 a=1i a="x y" a="\\"" a=t =1 , \\ # \n \r\n 1795911600 "'.split(' '), ' ')
const lines = fc.array(word, { maxLength: 12 }).map((words) => words.join(''))

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  fc.oneof(value, lines, fc.string({ unit: 'binary', maxLength: 300 })).map((text) => Buffer.from(text)),
  fc.tuple(value, fc.nat(), fc.nat(255)).map(([text, where, byte]) => {
    const bytes = Buffer.from(text)
    bytes[where % Math.max(1, bytes.length)] = byte
    return bytes
  }),
)

describe('whatever the bytes are', () => {
  it('they end as points that can be stored, as nulls, or as faults with a code; what came before stays', () => {
    const table = new SeriesTable({ maxSeries: 200 })
    fc.assert(
      fc.property(payload, (bytes) => {
        const {
          points,
          record: records,
          element,
          faults,
          suspects,
          nulls,
        } = decodeRecords([record('{"before":1}'), record(bytes), record('{"after":2}')], table)
        const { series, ms, ns, values } = points
        for (const column of [ms, ns, values, records, element]) expect(column).toHaveLength(series.length)
        expect([series[0]?.field, values[0], series.at(-1)?.field, values.at(-1)]).toEqual(['before', 1, 'after', 2])
        const identities = new Set<string>()
        for (const [i, { field, type }] of series.entries()) {
          expect(ms[i]).toBeLessThanOrEqual(Math.min(received + 86_400_000, MAX_INSTANT.ms))
          expect(Number.isInteger(ms[i]) && Number.isInteger(ns[i]) && (ns[i] ?? -1) >= 0).toBe(true)
          // Whatever a device calls it; what shows it escapes it.
          expect(field.isWellFormed() && Buffer.byteLength(field) <= 1024).toBe(true)
          if (type === 'float') expect(Number.isFinite(Number(values[i]))).toBe(true)
          identities.add(JSON.stringify([field, type, ms[i], ns[i], records[i], element[i]]))
        }
        // No value of a reading takes the place of another one.
        expect(identities.size).toBe(series.length)
        const found = faults.get(1)?.first ?? []
        for (const { code } of found) expect(isErrorCode(code) && code !== 'decoder_failed').toBe(true)
        for (const { code } of suspects) expect(isErrorCode(code)).toBe(true)
        expect(series.length - 2 + found.length + nulls > 0 || isEmptyList(bytes)).toBe(true)
      }),
      { numRuns: 3000, interruptAfterTimeLimit: 10_000 },
    )
  })
})

/** Of lists and objects with nothing in them there is nothing to say. */
function isEmptyList(bytes: Buffer): boolean {
  return /\[\s*\]|\{\s*\}/.test(bytes.toString())
}

describe('payloads made to hurt', () => {
  const many = (text: string, count: number) => Array.from({ length: count }, () => text).join(',')
  const nested = (before: string, depth: number, after: string) => before.repeat(depth) + after.repeat(depth)

  it.each([
    ['lists of readings, each in the one before', nested('{"ts":1,"a":[', 20_000, ']}')],
    ['lists of readings without a name', nested('{"ts":1795911600,"values":[', 20_000, ']}')],
    ['lists of lists', `{"a":${nested('[', 50_000, ']')}}`],
    ['a million values', `{"a":[${many('1', 1_000_000)}]}`],
    ['readings within one', `{"a":[${many('{"ts":1795911600,"a":1}', 30_000)}]}`],
    ['named values', `{"values":[${many('{"id":"a","v":1}', 30_000)}]}`],
    ['named values in named values', nested('{"a":[{"id":1,"value":2,"b":', 10_000, '}]}')],
    ['lists that are almost SenML', `[${many('{"n":"a","v":1}', 50_000)},{"x":1}]`],
    ['lists in each of many readings', `[${many('{"a":[{"b":[[1]]}]}', 20_000)}]`],
    ['a pack of SenML', `[${many('{"n":"a","v":1}', 30_000)}]`],
    ['times of SenML beyond all bounds', '[{"bn":"a","bt":1e999999999,"v":1,"t":-1e-999999999}]'],
    ['lines', 'm a=1\n'.repeat(30_000)],
    ['tags', `m${',a=b'.repeat(100_000)} a=1`],
    ['a text that never ends', `m a="${'x'.repeat(500_000)}`],
    ['backslashes', `m a=${'\\'.repeat(500_000)}`],
    ['spaces', ' '.repeat(1_000_000)],
    ['NULs', '\0'.repeat(1_000_000)],
    ['digits', '9'.repeat(500_000)],
    ['digits of a quoted time', `{"ts":"${'9'.repeat(500_000)}","a":1}`],
    ['spaces in a quoted time', `{"ts":"${' '.repeat(500_000)}x","a":1}`],
  ])('%s: end within seconds', (_, text) => {
    const started = performance.now()
    const { faults } = decodeRecords([record(text)], new SeriesTable())
    expect(faults.get(0)?.counts.has('decoder_failed') ?? false).toBe(false)
    // Far from what it takes, and far below what a quadratic step would take.
    expect(performance.now() - started).toBeLessThan(20_000)
  })
})
