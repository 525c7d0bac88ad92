import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { featuresOf, idOf, readDocument, resolve, type PolicyDocument } from '../../../../shared/policies/document.ts'
import { DEFAULT_POLICY } from '../../../../shared/policies/settings.ts'

const number = { quoted_numbers: 'number' } as const

describe('a policy document', () => {
  it.each([
    [[], 'the document is not an object'],
    [null, 'the document is not an object'],
    [{ quoted_numbers: 'yes' }, 'quoted_numbers is "yes": it must be one of text, number'],
    [{ quoted_number: 'text' }, 'quoted_number is no setting; there are quoted_numbers'],
    [{ __proto__: null, constructor: 1 }, 'constructor is no setting'],
    [{ device_zones: ['door'] }, 'it must be 1 to 256 devices with their zones'],
    [{ device_zones: ['door=Mars/X'] }, 'device_zones is ["door=Mars/X"]'],
    [{ device_zones: ['door=UTC', 'door=Asia/Tokyo'] }, 'device_zones is'],
    [{ streams: [] }, 'streams is not an object'],
    [{ streams: { '': number } }, 'streams. is not the name of a stream'],
    [{ streams: { door: { quoted_numbers: 1 } } }, 'streams.door.quoted_numbers is 1: it must be one of'],
    [{ streams: { door: { streams: {} } } }, 'streams.door.streams is no setting'],
  ])('%j is refused, and the place is named', (document, message) => {
    expect(() => readDocument(document, 'acme')).toThrow(
      expect.objectContaining({ code: 'policy_invalid', message: expect.stringContaining(message) as string }),
    )
  })

  it('has no streams where it is the default of all tenants', () => {
    expect(() => readDocument({ streams: { door: number } }, undefined)).toThrow('streams belongs to a tenant')
  })

  it('waits for workers that read what it says', () => {
    expect(featuresOf({ time_future: 'restamp' })).toEqual([])
    expect(featuresOf({ time_absent: 'accept' })).toEqual(['time-rules'])
    expect(featuresOf({ streams: { door: { time_future: 'clamp', time_ancient: 'clamp' } } })).toEqual(['time-rules'])
  })

  it('is refused when it is larger than a document may be', () => {
    const streams = Object.fromEntries(Array.from({ length: 4_000 }, (_, index) => [`stream-${index}`, number]))
    expect(() => readDocument({ streams }, 'acme')).toThrow('bytes, more than 65536')
  })

  it('is the same whatever the order in which it is written', () => {
    const streams = { b: number, a: number, c: {} }
    const turned = { c: {}, a: number, b: number }
    expect(idOf(readDocument({ ...number, streams }, 'acme'))).toBe(
      idOf(readDocument({ streams: turned, ...number }, 'acme')),
    )
    expect(idOf(readDocument({ streams: { c: {} } }, 'acme'))).toBe('')
  })
})

const settings = fc.record(
  { quoted_numbers: fc.constantFrom('text' as const, 'number' as const) },
  { requiredKeys: [] },
)
const streams = fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'constructor'), settings)

describe('precedence', () => {
  it('stream, then tenant, then default, then what is built in', () => {
    const documents = fc.record({ tenant: settings, streams, fallback: settings })
    fc.assert(
      fc.property(documents, fc.constantFrom('a', 'b', 'constructor', '__proto__', undefined), (given, stream) => {
        const tenant: PolicyDocument = { ...given.tenant, streams: given.streams }
        const { policy, origins } = resolve(stream, { tenant, default: given.fallback })
        const own = stream === undefined ? undefined : new Map(Object.entries(given.streams)).get(stream)
        const places = [own, given.tenant, given.fallback, DEFAULT_POLICY]
        const place = places.findIndex((one) => one?.quoted_numbers !== undefined)
        expect(policy.quoted_numbers).toBe(places[place]?.quoted_numbers)
        expect(origins.quoted_numbers).toBe(['stream', 'tenant', 'default', 'built in'][place])
      }),
    )
  })
})
