import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkNewDeviceName, decodeName, encodeName, isDeviceName, isName } from '../../../shared/names.ts'
import { isTopicName } from '../../../shared/topic-filter.ts'
import { HOSTILE_NAMES, wideName } from '../../names.ts'

describe('forms', () => {
  it('tenants are ASCII and keep to their length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 70 }), (text) => {
        expect(isName(text)).toBe(text.length >= 1 && text.length <= 64 && !/[^A-Za-z0-9_.-]/.test(text))
      }),
    )
  })

  it('devices and streams are UTF-8 of 1 to 128 bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 140 }), (text) => {
        const bytes = Buffer.byteLength(text)
        expect(isDeviceName(text)).toBe(bytes >= 1 && bytes <= 128)
      }),
    )
    expect([isDeviceName('ü'.repeat(64)), isDeviceName('ü'.repeat(65)), isDeviceName('\ud800')]).toEqual([
      true,
      false,
      false,
    ])
  })
})

describe('a name as a level of a topic', () => {
  it('is one level that may be published to, and comes back', () => {
    fc.assert(
      fc.property(wideName, (name) => {
        const level = encodeName(name)
        expect(level).not.toMatch(/[/+#\p{Cc}]/u)
        expect(isTopicName(level)).toBe(true)
        expect(decodeName(level)).toBe(name)
      }),
      { numRuns: 1_000 },
    )
  })

  it('is that of no other name, and no other spelling is read', () => {
    fc.assert(
      fc.property(wideName, wideName, (a, b) => {
        expect(encodeName(a) === encodeName(b)).toBe(a === b)
        // Any text is either what a name is written as, or no name at all.
        const name = decodeName(b)
        if (name !== undefined) expect(encodeName(name)).toBe(b)
      }),
      { numRuns: 1_000 },
    )
  })

  it('is the name itself unless one of / + # % or a control character is in it', () => {
    fc.assert(
      fc.property(wideName, (name) => {
        expect(encodeName(name) === name).toBe(!/[/+#%\p{Cc}]/u.test(name))
      }),
    )
  })

  it.each(['%2f', '%20', 'K%C3%BCche', '%', '%2', '%zz', '%C2%A0', '%00%', 'a+b', 'a#', '', 'x'.repeat(129)])(
    '%j is none',
    (level) => {
      expect(decodeName(level)).toBeUndefined()
    },
  )
})

describe('names that people make', () => {
  it.each(HOSTILE_NAMES)('%j is one', (name) => {
    expect(() => checkNewDeviceName(name)).not.toThrow()
  })

  it.each([
    ['a\nb', 'U+000A, a control character'],
    ['a\u0085', 'U+0085, a control character'],
    ['a\u2028b', 'U+2028, a control character'],
    ['pump\u202e1', 'U+202E, a character that changes the direction'],
    ['\u061ca', 'U+061C, a character that changes the direction'],
    ['pump\u200b', 'U+200B, a character of no width'],
    ['\ufeffpump', 'U+FEFF, a character of no width'],
    ['pu\u00admp', 'U+00AD, a character of no width'],
    ['a\u{e0041}', 'U+E0041, a character of no width'],
    ['a\uffff', 'U+FFFF, a code point that is no character'],
  ])('%j is none', (name, said) => {
    expect(() => checkNewDeviceName(name)).toThrow(
      expect.objectContaining({ code: 'name_character_invalid', message: expect.stringContaining(said) as unknown }),
    )
  })

  it.each(['', '.', '..', 'x'.repeat(129), '\ud800'])('%j is no name at all', (name) => {
    expect(() => checkNewDeviceName(name)).toThrow(expect.objectContaining({ code: 'name_invalid' }))
  })
})
