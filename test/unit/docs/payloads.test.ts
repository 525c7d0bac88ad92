import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ERRORS } from '../../../shared/errors.ts'
import { describeOutcome, describeSeveral } from './payloads-page.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/payloads.md'), 'utf8')

/** Rows of a table: text of both cells. */
function rows(pattern: RegExp): { payload: string; outcome: string }[] {
  return [...page.matchAll(pattern)].map(([, payload = '', outcome = '']) => ({ payload, outcome }))
}

/** Examples in code on both sides are payloads as they stand. */
const examples = rows(/^\| `(.+)` +\| `([^|]+)` +\|$/gm)

describe('docs/payloads.md', () => {
  it.each(examples)('$payload', async ({ payload, outcome }) => {
    expect(await describeOutcome(Buffer.from(payload))).toBe(outcome)
  })

  it.each(rows(/^\| several: `(.+)` +\| `([^|]+)` +\|$/gm))('several devices: $payload', ({ payload, outcome }) => {
    expect(describeSeveral(Buffer.from(payload))).toBe(outcome)
  })

  it('shows every code that the decoder has', () => {
    const codes = Object.entries(ERRORS).filter(([, { class: name }]) => name === 'data')
    expect(codes.map(([code]) => code).filter((code) => !page.includes(code))).toEqual([])
    expect(examples.length).toBeGreaterThan(70)
  })
})

const number = (text: string) => Number(text.replaceAll(',', ''))
const repeated = (text: string, times: number) => text.repeat(times)
const nested = (depth: number) => `${repeated('{"a":', depth)}1${repeated('}', depth)}`
const object = '{"a":1}'

/** How a description becomes a payload; the first that matches makes it. */
const makers: readonly (readonly [RegExp, (count: number) => string | Uint8Array])[] = [
  [/^objects nested ([\d,]+) deep$/, nested],
  [/^arrays nested ([\d,]+) deep as a value$/, (count) => `{"a":${repeated('[', count)}${repeated(']', count)}}`],
  [/^([\d,]+) readings$/, (count) => `[${Array.from({ length: count }, () => object).join(',')}]`],
  [
    /^([\d,]+) fields$/,
    (count) => JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, i]))),
  ],
  [/^a field name of ([\d,]+) bytes$/, (count) => `{"${repeated('x', count)}":1}`],
  [/^a string of ([\d,]+) bytes$/, (count) => `{"a":"${repeated('x', count)}"}`],
  [/^a string of ([\d,]+) MB$/, (count) => `{"a":"${repeated('x', count * 1_000_000)}"}`],
  [/^an empty payload$/, () => ''],
  [/^the byte 0xFF in a string$/, () => Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}')])],
  [/^a byte order mark before the object$/, () => `\ufeff${object}`],
  [/^a NUL byte after the object$/, () => `${object}\0`],
  [/^a line of ([\d,]+) bytes$/, (count) => repeated('x', count)],
  [
    /^lists of readings nested ([\d,]+) deep$/,
    (count) => `${repeated('{"ts":1769860799,"a":[', count)}{"ts":1769860799,"a":1}${repeated(']}', count)}`,
  ],
]

describe('generated examples of docs/payloads.md', () => {
  const generated = rows(/^\| ([^`|]+?) +\| ([a-z0-9_]+) +\|$/gm).filter(({ outcome }) => outcome !== 'outcome')
  it.each(generated)('$payload: $outcome', async ({ payload: description, outcome }) => {
    const made = makers.flatMap(([pattern, make]) => {
      const match = pattern.exec(description)
      return match === null ? [] : [make(number(match[1] ?? '0'))]
    })
    expect(made).toHaveLength(1)
    const result = await describeOutcome(Buffer.from(made[0] ?? ''))
    if (outcome === 'stored') expect(result).not.toMatch(/(^|; )[a-z]+_[a-z_]+( |;|$)/)
    else
      expect(
        result
          .split('; ')
          .at(-1)
          ?.replace(/^".*": /, ''),
      ).toBe(outcome)
  })

  it('are all there', () => expect(generated.length).toBe(makers.length + 7))
})
