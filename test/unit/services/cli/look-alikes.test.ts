import { expect, it } from 'vitest'
import { checkLookAlikes } from '../../../../services/cli/doctor/look-alikes.ts'

const devices = (...names: string[]) => names.map((device) => ({ tenant: 'demo', device }))

it.each([
  ['Küche', 'Ku\u0308che'],
  ['Lampe', 'lampe'],
  ['ﬁlter', 'filter'],
  ['pump-1', 'pump-1 '],
  ['a  b', 'a\u00a0b'],
  ['раmр', 'pamp'],
  ['ΟK', 'OK'],
  ['❤️', '❤'],
])('%j and %j look alike', (one, other) => {
  expect(checkLookAlikes(devices(one, other), false)).toMatchObject({ check: 'names', health: 'warn' })
})

it('says which, with what tells them apart, and counts the rest', () => {
  const { detail } = checkLookAlikes(devices('Küche', 'Ku\u0308che', 'x'), false)
  expect(detail).toBe('of 3 devices some look alike: "demo/Küche" (U+00FC) and "demo/Ku\u0308che" (U+0308)')
  const many = Array.from({ length: 9 }, (_, i) => [`a${i}`, `A${i}`]).flat()
  expect(checkLookAlikes(devices(...many), true).detail).toMatch(/of the first 18 devices .*; and 4 more$/)
})

it('names that differ are no matter, nor is one name of two tenants', () => {
  const found = checkLookAlikes([...devices('a', 'b', 'ä', 'и'), { tenant: 'other', device: 'a' }], false)
  expect(found).toMatchObject({ health: 'ok', detail: 'of 5 devices no two look alike' })
})
