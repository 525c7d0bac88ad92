import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { readDocument } from '../../../../shared/policies/document.ts'
import { overlaysOf, readPolicyFiles } from '../../../../shared/policies/policy-files.ts'

const of = (files: Record<string, string>) => overlaysOf(new Map(Object.entries(files)))
const invalid = (message: string) =>
  expect.objectContaining({ code: 'policy_invalid', message: expect.stringContaining(message) as string }) as Error

describe('files of policies', () => {
  it('say what holds for a tenant, its streams and everybody, and where that stands', () => {
    const overlays = of({
      'all.yaml': 'tenant: "*"\ntime_zone: Europe/Berlin\n',
      'demo.yaml': '# of the demo\ntenant: demo\nquoted_numbers: number\nstreams:\n  7: {same_time: keep}\n',
      'more.yml': 'tenant: demo\ntime_keys: [at, ts]\nstreams:\n  7:\n    quoted_numbers: text\n',
    })
    expect(overlays.get(undefined)).toEqual({
      document: { time_zone: 'Europe/Berlin' },
      places: { time_zone: 'all.yaml:2' },
    })
    expect(overlays.get('demo')).toEqual({
      document: {
        quoted_numbers: 'number',
        time_keys: ['at', 'ts'],
        streams: { 7: { same_time: 'keep', quoted_numbers: 'text' } },
      },
      places: {
        quoted_numbers: 'demo.yaml:3',
        'streams.7.same_time': 'demo.yaml:5',
        time_keys: 'more.yml:2',
        'streams.7.quoted_numbers': 'more.yml:5',
      },
    })
  })

  it.each([
    ['', 'a.yaml:1: the file is not a mapping'],
    ['quoted_numbers: text', 'a.yaml:1: tenant must be'],
    ['tenant: a/b', 'a.yaml:1: tenant must be'],
    ['\ntenant:\n  - x', 'a.yaml:2: tenant must be'],
    ['tenant: "*"\n\nstreams: {door: {same_time: keep}}', 'a.yaml:3: streams belongs to a tenant'],
    ['tenant: demo\ntime_keys:\n  - ts\nquoted_number: text', 'a.yaml:4: quoted_number is no setting'],
    ['tenant: demo\nstreams:\n  door:\n    same_time: never', 'a.yaml:4: streams.door.same_time is "never"'],
    ['tenant: demo\nquoted_numbers: text\nquoted_numbers: number', 'a.yaml:3: Map keys must be unique'],
    ['tenant: demo\nstreams:\n  a: {same_time: keep}\n  a: {same_time: last}', 'a.yaml:4: Map keys must be unique'],
    ['tenant: demo\n\ttime_zone: none', 'a.yaml:2: '],
    ['tenant: demo\ntime_zone: !!js/function x', 'a.yaml:2: '],
    ['tenant: demo\n---\ntenant: other', 'a.yaml:2: '],
    [`tenant: demo\nstreams:\n${bomb()}`, 'a.yaml:1: '],
  ])('%j is refused with its line', (text, message) => {
    expect(() => of({ 'a.yaml': text })).toThrow(invalid(message))
  })

  it('that say one thing twice are refused with both places', () => {
    const twice = { 'a.yaml': 'tenant: demo\nsame_time: keep', 'b.yaml': 'tenant: demo\n\nsame_time: keep' }
    expect(() => of(twice)).toThrow(invalid('b.yaml:3: same_time is set by a.yaml:2, too'))
    expect(of({ ...twice, 'b.yaml': 'tenant: other\nsame_time: keep' }).size).toBe(2)
  })

  it('say what a document says, however its streams are called', () => {
    const streams = fc.dictionary(
      fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
      fc.record({ same_time: fc.constantFrom('keep', 'last') }),
      { maxKeys: 5 },
    )
    const documents = fc.record({ time_zone: fc.constant('UTC'), streams })
    fc.assert(
      fc.property(documents, (document) => {
        const overlay = of({ 'a.yaml': stringify({ tenant: 'demo', ...document }) }).get('demo')
        expect(overlay?.document).toEqual(readDocument(document, 'demo'))
        const lines = Object.values(overlay?.places ?? {}).map((place) => Number(place.split(':')[1]))
        expect(new Set(lines).size).toBe(lines.length)
      }),
    )
  })
})

describe('a folder of policies', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-policies-'))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is read by the names of its files, and is refused when it is not there', async () => {
    for (const name of ['b.yml', 'a.yaml', 'README.md', '.c.yaml']) writeFileSync(join(folder, name), name)
    expect([...(await readPolicyFiles(folder)).keys()]).toEqual(['a.yaml', 'b.yml'])
    writeFileSync(join(folder, 'big.yaml'), ' '.repeat(300_000))
    await expect(readPolicyFiles(folder)).rejects.toThrow(invalid('big.yaml has 300000 bytes'))
    await expect(readPolicyFiles(join(folder, 'none'))).rejects.toThrow(invalid('none cannot be read'))
  })
})

/** Small, and without end once its aliases are followed. */
function bomb(): string {
  const levels = Array.from({ length: 9 }, (_, i) => `  s${i + 1}: &s${i + 1} [${`*s${i},`.repeat(9)}]`)
  return ['  s0: &s0 [x]', ...levels].join('\n')
}
