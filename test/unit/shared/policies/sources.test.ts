import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readDocument, type PolicyDocument } from '../../../../shared/policies/document.ts'
import { afterFiles, afterSet, type Layered, type Overlay } from '../../../../shared/policies/sources.ts'

const NOTHING: Overlay = { document: {}, places: {} }
const keep = { same_time: 'keep' } as const
const files: Overlay = {
  document: { streams: { 'a.b': keep } },
  places: { 'streams.a.b.same_time': 'demo.yaml:4' },
}

describe('policies of files', () => {
  it('lie over what people set, which comes back when they are gone', () => {
    const set = afterSet(undefined, { time_zone: 'UTC', streams: { 'a.b': { same_time: 'last' } } }, 'demo', 'ann')
    const laid = afterFiles(set, files, 'demo')
    expect(laid?.document).toEqual({ time_zone: 'UTC', streams: { 'a.b': keep } })
    expect(laid?.sources?.files).toEqual(files.places)
    const changed = afterSet(laid, { streams: { 'a.b': keep } }, 'demo', 'bob')
    expect(afterFiles(changed, NOTHING, 'demo')?.document).toEqual({ streams: { 'a.b': { same_time: 'last' } } })
  })

  it('are changed by nobody else, neither set nor taken away', () => {
    const laid = afterFiles(undefined, files, 'demo')
    const refused = expect.objectContaining({
      code: 'policy_in_file',
      message: 'streams.a.b.same_time is set by demo.yaml:4',
    }) as Error
    expect(() => afterSet(laid, {}, 'demo', 'ann')).toThrow(refused)
    expect(() => afterSet(laid, { streams: { 'a.b': { same_time: 'last' } } }, 'demo', 'ann')).toThrow(refused)
    expect(afterSet(laid, { ...keep, streams: { 'a.b': keep } }, 'demo', 'ann').sources?.by).toEqual({
      same_time: 'ann',
    })
  })

  it('change nothing when they say again what they said', () => {
    const laid = afterFiles(undefined, files, 'demo')
    expect(afterFiles(laid, files, 'demo')).toBeUndefined()
    expect(afterFiles(undefined, NOTHING, 'demo')).toBeUndefined()
    expect(afterFiles(laid, { ...files, places: { 'streams.a.b.same_time': 'demo.yaml:5' } }, 'demo')).toBeDefined()
  })

  it('who set a value is who changed it last; of what was set before that was noted nobody knows', () => {
    const old: Layered = { document: { time_zone: 'UTC' }, sources: undefined }
    const first = afterSet(old, { time_zone: 'UTC', same_time: 'keep' }, 'demo', 'ann')
    expect(first.sources?.by).toEqual({ same_time: 'ann' })
    const next = afterSet(first, { time_zone: 'none', same_time: 'keep' }, 'demo', 'bob')
    expect(next.sources?.by).toEqual({ same_time: 'ann', time_zone: 'bob' })
  })

  it('of any changes by people and files, in any order, both are in force, and the files win', () => {
    const settings = fc.record(
      { same_time: fc.constantFrom('keep', 'last'), time_zone: fc.constantFrom('UTC', 'none') },
      { requiredKeys: [] },
    )
    const documents = fc
      .tuple(settings, fc.dictionary(fc.constantFrom('a', 'a.b', '__proto__', 'streams'), settings, { maxKeys: 3 }))
      .map(([own, streams]) => readDocument({ ...own, streams }, 'demo'))
    const steps = fc.array(fc.tuple(fc.constantFrom('people', 'files'), documents), { maxLength: 12 })
    fc.assert(
      fc.property(steps, (changes) => {
        let layered: Layered | undefined
        let people: ReadonlyMap<string, unknown> = new Map()
        let ofFiles: ReadonlyMap<string, unknown> = new Map()
        for (const [by, document] of changes) {
          const said = flat(document)
          if (by === 'files') {
            const places = Object.fromEntries([...said.keys()].map((path) => [path, 'f:1']))
            layered = afterFiles(layered, { document, places }, 'demo') ?? layered
            ofFiles = said
          } else if ([...ofFiles].some(([path, value]) => said.get(path) !== value)) {
            const before = layered
            expect(() => afterSet(before, document, 'demo', 'ann')).toThrow('is set by f:1')
          } else {
            layered = afterSet(layered, document, 'demo', 'ann')
            const below = [...people].filter(([path]) => ofFiles.has(path))
            people = new Map([...below, ...[...said].filter(([path]) => !ofFiles.has(path))])
          }
          expect(flat(layered?.document ?? {})).toEqual(new Map([...people, ...ofFiles]))
        }
        const bare = afterFiles(layered, NOTHING, 'demo') ?? layered
        expect(flat(bare?.document ?? {})).toEqual(people)
      }),
    )
  })
})

function flat({ streams = {}, ...own }: PolicyDocument): Map<string, unknown> {
  const all = new Map<string, unknown>(Object.entries(own))
  for (const [stream, settings] of Object.entries(streams)) {
    for (const [name, value] of Object.entries(settings)) all.set(`streams.${stream}.${name}`, value)
  }
  return all
}
