import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { keyOfLogin } from '../../../../shared/record.ts'
import { reservedElements } from '../../../../shared/stamps/reservation.ts'
import { STAMP_STEP } from '../../../../shared/stamps/scheme.ts'
import type { LogRecord } from '../../../../shared/telemetry.ts'

const many = (count: number) => Array.from({ length: count }, () => '{"x":1}').join()
const MS = 1_769_860_800_000

function decodeText(text: string | Uint8Array, stamp: Partial<LogRecord> = {}) {
  const headers = { topic: 't/acme/telemetry', login: 'gw' }
  const value = Buffer.from(text)
  const record = { key: keyOfLogin('acme', 'gw'), value, ms: MS, ns: 0, scheme: 1 as const, headers, ...stamp }
  return decodeRecords([record], new SeriesTable())
}

/** Device, field, value, time in ns behind the stamp. */
function found(decoded: ReturnType<typeof decodeText>): unknown[] {
  return decoded.others.flatMap(({ device, points: { series, values, ms, ns } }) =>
    values.map((value, i) => [device, series[i]?.field, value, ((ms[i] ?? 0) - MS) * 1e6 + (ns[i] ?? 0)]),
  )
}

describe('a message of several devices', () => {
  it('holds for each what the device itself could have sent', () => {
    const decoded = decodeText(
      `{"Device A":[{"ts":${MS + 1},"values":{"temperature":42}},{"ts":${MS + 2},"on":true}],"b/2":{"n":1},"c":21.5}`,
    )
    expect(found(decoded)).toEqual([
      ['Device A', 'temperature', 42, 1e6],
      ['Device A', 'on', true, 2e6],
      ['b/2', 'n', 1, 2 * STAMP_STEP],
      ['c', 'value', 21.5, 3 * STAMP_STEP],
    ])
    expect([decoded.points.series, decoded.readings, decoded.faults.size]).toEqual([[], 0, 0])
  })

  it('refuses a field alone, and says of which device and reading', () => {
    const decoded = decodeText('{"a":{"x":1},"b":[{"y":2},{"y":"\\ud800","z":3}]}')
    expect(found(decoded)).toHaveLength(3)
    expect(decoded.faults.get(0)?.first).toMatchObject([
      { element: 2, path: 'y', code: 'value_unsupported', detail: expect.stringContaining('"b"') as string },
    ])
  })

  it.each([
    ['an array', '[{"a":1}]', 'payload_not_by_device'],
    ['a value', '21.5', 'payload_not_by_device'],
    ['what is no JSON', '{"a":{"x":1}', 'payload_not_json'],
    ['something behind it', '{"a":{"x":1}} x', 'payload_not_json'],
    ['nothing', '{}', 'payload_empty'],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'payload_not_utf8'],
    ['too many readings', `{"a":[${many(6000)}],"b":[${many(6000)}]}`, 'payload_too_many_readings'],
  ])('refuses %s as a whole', (_what, text, code) => {
    const decoded = decodeText(text)
    expect(found(decoded)).toEqual([])
    expect(decoded.faults.get(0)?.first).toMatchObject([{ element: null, path: null, code }])
  })

  it.each(['', 'x'.repeat(129), '\\ud800'])('refuses what no device is called: %j', (name) => {
    const decoded = decodeText(`{"${name}":{"x":1},"b":{"x":2}}`)
    expect(found(decoded)).toEqual([['b', 'x', 2, STAMP_STEP]])
    expect(decoded.faults.get(0)?.first).toMatchObject([{ element: 0, path: null, code: 'name_invalid' }])
  })

  it('is told by its topic: a device that is called as the key of a login has its own readings', () => {
    const topic = 't/acme/%1Egw/telemetry'
    for (const headers of [undefined, { topic }, { topic, login: 'gw' }]) {
      const decoded = decodeText('{"b":{"x":1}}', { headers })
      expect(found(decoded)).toEqual([])
      expect(decoded.points.series).toMatchObject([{ device: '\u001egw', field: 'b.x' }])
    }
  })

  it('skips null, and counts it', () => {
    const decoded = decodeText('{"a":null,"b":{"x":null,"y":1}}')
    expect(found(decoded)).toEqual([['b', 'y', 1, STAMP_STEP]])
    expect([decoded.nulls, decoded.faults.size]).toEqual([2, 0])
  })

  it('never gives two readings without a time the same one, nor one beyond what the stamp has reserved', () => {
    const readings = fc.oneof(fc.constant('{"a":1}'), fc.constant('7'), fc.constant('[{"a":1},{"a":2},{"b":3}]'))
    fc.assert(
      fc.property(fc.array(readings, { minLength: 1, maxLength: 50 }), fc.nat(999_999), (values, ns) => {
        const text = `{${values.map((one, i) => `"${i % 7}":${one}`).join(',')}}`
        const decoded = decodeText(text, { ns })
        expect(decoded.faults.size).toBe(0)
        const times = new Set(decoded.others.flatMap(({ points }) => points.ms.map((ms, i) => `${ms} ${points.ns[i]}`)))
        expect(times.size).toBe(values.join().split('{').length - 1 + values.filter((one) => one === '7').length)
        const last = decoded.others.at(-1)?.points
        const reserved = ns + (reservedElements(Buffer.from(text), true) - 1) * STAMP_STEP
        expect(((last?.ms.at(-1) ?? 0) - MS) * 1e6 + (last?.ns.at(-1) ?? 0)).toBeLessThanOrEqual(reserved)
      }),
    )
  })
})
