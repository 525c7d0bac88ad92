import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { SluiceError } from '../../../../shared/errors.ts'
import { contractsOf, readContractFiles } from '../../../../shared/types/contract-files.ts'
import { MEANING_NAMES } from '../../../../shared/types/meaning.ts'

const of = (files: Record<string, string>) => contractsOf(new Map(Object.entries(files)))
const invalid = (message: string) =>
  expect.objectContaining({ code: 'contract_invalid', message: expect.stringContaining(message) as string }) as Error
const field = (...lines: string[]) => `tenant: demo\nstreams:\n  meter:\n    total:\n      ${lines.join('\n      ')}\n`

describe('contracts', () => {
  it('say what fields mean, and where each part of it stands; several files may be of one field', () => {
    expect(
      of({
        'a.yaml': field('type: integer', 'unit: Wh', 'min: 0', 'outside: fault', 'required: true'),
        'b.yml': 'tenant: demo\nstreams:\n  meter: {total: {name: Zähler, interval: 0.5}}\n  7: {"": {max: -1e3}}\n',
      }),
    ).toEqual(
      [
        {
          ...{ tenant: 'demo', stream: '7', field: '' },
          ...{ meaning: { max: -1000 }, places: { max: 'b.yml:4' } },
        },
        {
          ...{ tenant: 'demo', stream: 'meter', field: 'total' },
          meaning: {
            type: 'integer',
            unit: 'Wh',
            name: 'Zähler',
            min: 0,
            outside: 'fault',
            required: true,
            interval: 0.5,
          },
          places: {
            ...{ type: 'a.yaml:5', unit: 'a.yaml:6', min: 'a.yaml:7', outside: 'a.yaml:8', required: 'a.yaml:9' },
            ...{ name: 'b.yml:3', interval: 'b.yml:3' },
          },
        },
      ].sort((a) => (a.stream === 'meter' ? -1 : 1)),
    )
  })

  it.each([
    ['', 'a.yaml:1: the file is not a mapping'],
    ['streams: {}', 'a.yaml:1: tenant must be the name'],
    ['tenant: "*"\nstreams: {}', 'a.yaml:1: tenant must be the name'],
    ['tenant: demo\nstreams: {}\n\nstream: {}', 'a.yaml:4: stream is not part of a contract'],
    ['tenant: demo\n', 'streams must be a mapping'],
    ['tenant: demo\nstreams:\n  - meter', 'a.yaml:2: streams must be a mapping'],
    ['tenant: demo\nstreams:\n  "": {}', 'a.yaml:3: streams. is not the name of a stream'],
    ['tenant: demo\nstreams:\n  meter:\n    total: Wh', 'a.yaml:4: streams.meter.total is no mapping of type, unit'],
    [field('units: Wh'), 'a.yaml:5: streams.meter.total.units cannot be declared; there are type, unit'],
    [field('type: text'), 'a.yaml:5: streams.meter.total.type is "text": it must be integer or float'],
    [field('unit: 5'), 'a.yaml:5: streams.meter.total.unit is 5: it must be a text'],
    [field('unit: "\\n"'), 'a.yaml:5: streams.meter.total.unit'],
    [field('max: 5', 'min: .nan'), 'a.yaml:6: streams.meter.total.min'],
    [field('max: 5', 'min: 6'), 'a.yaml:6: streams.meter.total.min is 6, above max, which is 5'],
    [field('outside: fault'), 'a.yaml:5: streams.meter.total.outside needs min or max'],
    [field('interval: 0'), 'a.yaml:5: streams.meter.total.interval is 0: it must be seconds'],
    [field('required: "yes"'), 'a.yaml:5: streams.meter.total.required is "yes": it must be true or false'],
    [field('unit: Wh', 'unit: kWh'), 'a.yaml:6: Map keys must be unique'],
  ])('%j is refused with its line', (text, message) => {
    expect(() => of({ 'a.yaml': text })).toThrow(invalid(message))
  })

  it('that say one thing twice, or together what cannot be, are refused', () => {
    const twice = { 'a.yaml': field('unit: Wh'), 'b.yaml': field('min: 1', 'unit: Wh') }
    expect(() => of(twice)).toThrow(invalid('b.yaml:6: unit of total is set by a.yaml:5, too'))
    const apart = { 'a.yaml': field('max: 1'), 'b.yaml': field('min: 2') }
    expect(() => of(apart)).toThrow(invalid('b.yaml:5: min of total is 2, above max'))
  })

  it('of a folder that cannot be read are refused', async () => {
    await expect(readContractFiles('/nowhere/at/all')).rejects.toThrow(invalid('/nowhere/at/all cannot be read'))
  })

  it('whatever they hold end in contracts, or in an error with file and line', () => {
    const key = fc.oneof(fc.constantFrom('tenant', 'streams', 'meter', 'total', ...MEANING_NAMES), fc.string())
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null)),
        fc.dictionary(key, tie('tree')),
        fc.array(tie('tree'), { maxLength: 2 }),
      ),
    }))
    const meaning = fc.dictionary(
      fc.constantFrom<string>(...MEANING_NAMES),
      fc.oneof(fc.string(), fc.double(), fc.boolean()),
    )
    const likely = fc.dictionary(fc.string(), fc.dictionary(fc.string(), meaning))
    const file = fc.oneof(
      tree,
      likely.map((streams) => ({ tenant: 'demo', streams })),
    )
    fc.assert(
      fc.property(file, (value) => {
        try {
          for (const { meaning: read, places } of of({ 'a.yaml': stringify(value) })) {
            expect(Object.keys(read).sort()).toEqual(Object.keys(places).sort())
          }
        } catch (error) {
          if (!(error instanceof SluiceError)) throw error
          expect(error.code).toBe('contract_invalid')
          expect(error.message).toMatch(/^a\.yaml:\d+: /)
        }
      }),
    )
  })
})
