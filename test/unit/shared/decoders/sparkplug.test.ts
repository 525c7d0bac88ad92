import fc from 'fast-check'
import * as sparkplug from 'sparkplug-payload'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { REVISION_HEADER } from '../../../../shared/policies/revision.ts'

const T = 1_769_860_800_000

async function decode(value: Uint8Array) {
  const table = new SeriesTable()
  const headers = { [REVISION_HEADER]: 'a.' }
  const record = { key: 'demo/one', value, ms: T, ns: 0, scheme: 1, headers } as const
  await table.policies.learn([record], async () => new Map([['a', { decoder: 'sparkplug_b' }]]))
  const { points, faults } = decodeRecords([record], table)
  return {
    points: points.series.map(({ field }, i) => [field, points.values[i], (points.ms[i] ?? 0) - T]),
    faults: (faults.get(0)?.first ?? []).map(({ code, path }) => [code, path]),
  }
}

/** By the encoder of the Sparkplug project. */
const { encodePayload } = sparkplug.get('spBv1.0') as { encodePayload(payload: unknown): Uint8Array }

describe('Sparkplug B', () => {
  it('metrics have their names, kinds and times', async () => {
    const metrics = [
      { name: 'Inputs/A', type: 'Double', value: 21.5, timestamp: T - 2_000 },
      { name: 'Inputs/B', type: 'Boolean', value: true, timestamp: T - 2_000 },
      { name: 'n', type: 'Int32', value: -5, timestamp: T - 1_000 },
      { name: 'u', type: 'UInt32', value: 4_294_967_295, timestamp: T - 1_000 },
      { name: 's', type: 'String', value: 'on', timestamp: T - 1_000 },
      { name: 'late', type: 'Float', value: 0.5 },
    ]
    expect(await decode(encodePayload({ timestamp: T - 500, metrics, seq: 1 }))).toEqual({
      points: [
        ['Inputs/A', 21.5, -2_000],
        ['Inputs/B', true, -2_000],
        ['n', -5, -1_000],
        ['u', 4_294_967_295, -1_000],
        ['s', 'on', -1_000],
        ['late', 0.5, -500],
      ],
      faults: [],
    })
  })

  it('a metric without a name has that of its alias, and one that is null is none', async () => {
    const metrics = [
      { alias: 7, type: 'Int8', value: -1 },
      { name: 'gone', type: 'Double', value: null },
    ]
    const { points, faults } = await decode(encodePayload({ timestamp: T, metrics, seq: 0 }))
    expect(points).toEqual([['alias.7', -1, 0]])
    expect(faults).toEqual([])
  })

  it('a data set of one row is its columns, and a template its metrics', async () => {
    const metrics = [
      {
        name: 'set',
        type: 'DataSet',
        value: { numOfColumns: 2, columns: ['a', 'b'], types: ['Double', 'String'], rows: [[1.5, 'x']] },
      },
      {
        name: 'motor',
        type: 'Template',
        value: { templateRef: 'Motor', isDefinition: false, metrics: [{ name: 'rpm', type: 'Int16', value: -900 }] },
      },
    ]
    const { points } = await decode(encodePayload({ timestamp: T, metrics, seq: 0 }))
    expect(points).toEqual([
      ['set.a', 1.5, 0],
      ['set.b', 'x', 0],
      ['motor.rpm', -900, 0],
    ])
  })

  it('64 bits are exact', async () => {
    // metric { name "i", datatype Int64, long_value 2^64 - 2^60 + 1 }
    const value = [0x58, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf0, 0x01]
    const metric = [0x0a, 1, 0x69, 0x20, 4, ...value]
    expect((await decode(Buffer.from([0x12, metric.length, ...metric]))).points).toEqual([['i', 1n - 2n ** 60n, 0]])
  })

  it('any bytes end in points or in faults with a code', async () => {
    const good = encodePayload({ timestamp: T, metrics: [{ name: 'a', type: 'Double', value: 1 }], seq: 0 })
    const damaged = fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => {
      const bytes = Uint8Array.from(good)
      bytes[at] = byte
      return bytes
    })
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), async (bytes) => {
        const { faults } = await decode(bytes)
        for (const [code] of faults) expect(code).not.toBe('decoder_failed')
      }),
    )
  })

  it('templates in templates end somewhere', async () => {
    let template: number[] = []
    for (let depth = 0; depth < 12; depth++) {
      const metric = [0x92, 0x01, template.length, ...template] // template_value
      template = [0x12, metric.length, ...metric]
      if (template.length > 120) break
    }
    const { faults } = await decode(Buffer.from(template))
    for (const [code] of faults) expect(code).not.toBe('decoder_failed')
  })
})
