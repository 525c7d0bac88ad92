import { expect, it } from 'vitest'
import { MAX_GROUPS, RefusalBook } from '../../../../services/query-api/public/refusal-book.js'

const letter = (id: string, who: string, code = 'login_failed') => {
  const receivedAt = '2026-01-31T12:00:00Z'
  return {
    id,
    kind: 'refusal' as const,
    faults: [],
    faultCount: 1,
    stage: 'connect',
    code,
    detail: id,
    fix: 'Fix it.',
    who,
    topic: null,
    receivedAt,
  }
}

it('repeats are one group with a count and the newest detail, at the top', () => {
  const book = new RefusalBook()
  expect(book.add(letter('1', 'a'), false)?.isNew).toBe(true)
  book.add(letter('2', 'b'), false)
  expect(book.add(letter('3', 'a'), false)?.isNew).toBe(false)
  book.add(letter('4', 'a'), true)
  const groups = book.newestFirst().map(({ letter: { who, detail }, warning, count }) => [who, detail, warning, count])
  expect(groups).toEqual([
    ['a', '4', true, 1],
    ['a', '3', false, 2],
    ['b', '2', false, 1],
  ])
})

it('a letter that comes twice, by the list and by the live view, counts once', () => {
  const book = new RefusalBook()
  book.add(letter('1', 'a'), false)
  expect(book.add(letter('1', 'a'), false)).toBeUndefined()
  expect(book.newestFirst()[0]?.count).toBe(1)
})

it('a separator in a name joins no two clients', () => {
  const book = new RefusalBook()
  book.add({ ...letter('1', 'a","b'), topic: 'c' }, false)
  book.add({ ...letter('2', 'a'), topic: 'b","c' }, false)
  expect(book.newestFirst()).toHaveLength(2)
})

it('keeps a bounded number of groups, the newest', () => {
  const book = new RefusalBook()
  for (let i = 0; i < MAX_GROUPS + 20; i += 1) book.add(letter(String(i), `client-${i}`), false)
  const groups = book.newestFirst()
  expect(groups).toHaveLength(MAX_GROUPS)
  expect(groups[0]?.letter.who).toBe(`client-${MAX_GROUPS + 19}`)
  expect(groups.at(-1)?.letter.who).toBe('client-20')
})
