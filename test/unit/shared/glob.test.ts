import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isPlainGlob, matchesGlob } from '../../../shared/glob.ts'

describe('a pattern', () => {
  it.for([
    ['a', 'a', true],
    ['a', 'b', false],
    ['*', '', true],
    ['*', 'a/b\nc', true],
    ['?', '🌡', true],
    ['?', '', false],
    ['a*c', 'abbbc', true],
    ['a*b*c', 'a-bb-c-', false],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['a\\', 'a\\', true],
    ['[ab]', 'a', false],
    ['[ab]', '[ab]', true],
  ] as const)('%j and %j: %j', ([pattern, text, expected]) => {
    expect(matchesGlob(pattern, text)).toBe(expected)
  })

  it('means what the regular expression of it does', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '\\', '🌡'), maxLength: 8 })
    const run = (pattern: string, text: string): void => {
      const source = pattern.replace(/\\(.)|[*?\\]/gsu, (found, kept?: string) => {
        if (kept !== undefined) return kept.replace(/[*?\\]/, '\\$&')
        return { '*': '.*', '?': '.' }[found] ?? '\\\\'
      })
      expect(matchesGlob(pattern, text)).toBe(new RegExp(`^${source}$`, 'su').test(text))
    }
    fc.assert(fc.property(letters, letters, run), { numRuns: 2000 })
  })

  it('that would make a regular expression try for ever is answered at once', () => {
    expect(matchesGlob(`${'*a'.repeat(200)}b`, 'a'.repeat(1000))).toBe(false)
  })

  it('without wildcards is a name', () => {
    expect(['a.b', 'a*', 'a?', 'a\\'].map(isPlainGlob)).toEqual([true, false, false, false])
  })
})
