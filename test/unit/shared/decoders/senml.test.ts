import { encode } from 'cborg'
import { describe, expect, it } from 'vitest'
import { decodeRecords, SeriesTable } from '../../../../shared/decoders/decode.ts'
import { REVISION_HEADER } from '../../../../shared/policies/revision.ts'
import { formatInstant } from '../../../../shared/telemetry.ts'

/** The pack of RFC 8428, 5.1.2 (https://www.rfc-editor.org/rfc/rfc8428#section-5.1.2). */
const PACK = [
  { bn: 'urn:dev:ow:10e2073a0108006:', bt: 1.276020076001e9, bu: 'A', bver: 5, n: 'voltage', u: 'V', v: 120.1 },
  { n: 'current', t: -5, v: 1.2 },
  { n: 'current', t: -4, v: 1.3 },
  { n: 'current', t: -3, v: 1.4 },
  { n: 'current', t: -2, v: 1.5 },
  { n: 'current', t: -1, v: 1.6 },
  { n: 'current', v: 1.7 },
]
/** The same in CBOR (https://www.rfc-editor.org/rfc/rfc8428#section-6). */
const CBOR = Buffer.from(
  '87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c7461676501' +
    '615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a3006763757272656e74062302fb3ff4cccccccccccda3' +
    '006763757272656e74062202fb3ff6666666666666a3006763757272656e74062102f93e00a3006763757272656e74062002fb3ff999999999' +
    '999aa3006763757272656e74060002fb3ffb333333333333',
  'hex',
)
/** What both are, resolved (5.1.4). */
const RESOLVED = [
  ['voltage', 120.1, '2010-06-08T18:01:16.001Z'],
  ['current', 1.2, '2010-06-08T18:01:11.001Z'],
  ['current', 1.3, '2010-06-08T18:01:12.001Z'],
  ['current', 1.4, '2010-06-08T18:01:13.001Z'],
  ['current', 1.5, '2010-06-08T18:01:14.001Z'],
  ['current', 1.6, '2010-06-08T18:01:15.001Z'],
  ['current', 1.7, '2010-06-08T18:01:16.001Z'],
].map(([name, ...rest]) => [`urn:dev:ow:10e2073a0108006:${name}`, ...rest])

async function read(value: Uint8Array | string, decoder = 'senml') {
  const table = new SeriesTable()
  const headers = { [REVISION_HEADER]: 'a.' }
  const received = { ms: Date.UTC(2026, 0, 31, 12), ns: 0 }
  const record = { key: 'demo/one', value: Buffer.from(value), ...received, scheme: 1, headers } as const
  await table.policies.learn([record], async () => new Map([['a', { decoder }]]))
  const { points, faults } = decodeRecords([record], table)
  const time = (i: number) => formatInstant({ ms: points.ms[i] ?? 0, ns: points.ns[i] ?? 0 })
  const found = points.series.map(({ field }, i) => [field, points.values[i], time(i)])
  return [...found, ...(faults.get(0)?.first ?? []).map(({ code, element }) => [code, element])]
}

describe('SenML', () => {
  it.each([
    ['JSON', JSON.stringify(PACK), 'senml'],
    ['JSON that nobody declared', JSON.stringify(PACK), 'auto'],
    ['CBOR', CBOR, 'senml'],
  ])('of RFC 8428 in %s is resolved', async (_, payload, decoder) => {
    // A double is not exact to the millisecond: what lies below a microsecond is that of its digits.
    expect(await read(payload, decoder)).toEqual(RESOLVED)
  })

  it.each([
    // 5.1.1, 5.1.3, 5.1.6, 5.1.7.
    [[{ n: 'urn:dev:ow:10e2073a01080063', u: 'Cel', v: 23.1 }], [['urn:dev:ow:10e2073a01080063', 23.1]]],
    [
      [
        { bn: 'urn:dev:ow:10e2073a01080063:', n: 'temp', u: 'Cel', v: 23.1 },
        { n: 'label', vs: 'Machine Room' },
        { n: 'open', vb: false },
        { n: 'nfc-reader', vd: 'aGkgCg' },
      ],
      [
        ['urn:dev:ow:10e2073a01080063:temp', 23.1],
        ['urn:dev:ow:10e2073a01080063:label', 'Machine Room'],
        ['urn:dev:ow:10e2073a01080063:open', false],
        ['urn:dev:ow:10e2073a01080063:nfc-reader', 'aGkgCg'],
      ],
    ],
  ])('%j', async (pack, fields) => {
    expect((await read(JSON.stringify(pack))).map(([field, value]) => [field, value])).toEqual(fields)
  })

  it('has byte strings, base values and sums in CBOR as in JSON', async () => {
    const bytes = (digits: string) => Buffer.from(digits, 'hex')
    // Labels are integers: maps of JavaScript write them.
    const pack = [
      new Map<number, unknown>([
        [-2, 'a:'],
        [-3, 1_276_020_076],
        [-5, 20],
        [-6, 100],
      ]),
      new Map<number, unknown>([
        [0, 'b'],
        [2, 1.5],
        [5, 7],
      ]),
      new Map<number, unknown>([
        [0, 'c'],
        [8, bytes('fbff')],
        [6, -60],
      ]),
      new Map<number, unknown>([
        [0, 'd'],
        [4, true],
        [12_345, 'not known'],
      ]),
    ]
    expect(await read(encode(pack))).toEqual([
      ['a:b', 21.5, '2010-06-08T18:01:16Z'],
      ['a:b.s', 107, '2010-06-08T18:01:16Z'],
      ['a:c', '-_8', '2010-06-08T18:00:16Z'],
      ['a:d', true, '2010-06-08T18:01:16Z'],
    ])
  })

  it('refuses a record that is none, or that has to be understood, alone', async () => {
    expect(await read('[{"n":"a","v":1},5,{"n":"b","v":2,"x_":1},{"n":"c","v":3}]')).toEqual([
      ['a', 1, '2026-01-31T12:00:00Z'],
      ['c', 3, '2026-01-31T12:00:00.000000768Z'],
      ['reading_not_object', 1],
      ['payload_not_as_declared', 2],
    ])
  })
})
