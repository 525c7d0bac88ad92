import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  contains,
  isReserved,
  isTopicFilter,
  isTopicName,
  matches,
  MAX_TOPIC_BYTES,
  MAX_TOPIC_LEVELS,
  overlaps,
  unionContains,
} from '../../../shared/topic-filter.ts'

// `z` is in no filter: it stands for every word that a filter does not spell out. Topics are one level longer than the
// longest filter. So what holds for these topics holds for all.
const FILTER_WORDS = ['a', 'b', '', '$s', '+']
const TOPIC_WORDS = ['a', 'b', '', '$s', 'z']
const TOPICS = allTopics(4)

const filter = fc
  .tuple(fc.array(fc.constantFrom(...FILTER_WORDS), { maxLength: 3 }), fc.boolean())
  .map(([levels, hash]) => (hash || levels.length === 0 ? [...levels.slice(0, 2), '#'] : levels).join('/'))
  .filter((text) => text !== '')

function allTopics(levels: number): string[] {
  const all: string[] = []
  let longest = ['']
  for (let count = 1; count <= levels; count += 1) {
    longest = longest.flatMap((head) => TOPIC_WORDS.map((word) => (count === 1 ? word : `${head}/${word}`)))
    all.push(...longest)
  }
  return all.filter((topic) => topic !== '')
}

/** The specification's words, level by level, with no care for speed. */
function matchesByTheBook(pattern: string, topic: string): boolean {
  const levels = pattern.split('/')
  const words = topic.split('/')
  if (topic.startsWith('$') && (levels[0] === '+' || levels[0] === '#')) return false
  const hash = levels.at(-1) === '#'
  if (hash) levels.pop()
  if (hash ? words.length < levels.length : words.length !== levels.length) return false
  return levels.every((level, index) => level === '+' || level === words[index])
}

const topicsOf = (pattern: string): string[] => TOPICS.filter((topic) => matchesByTheBook(pattern, topic))

describe('matches', () => {
  it('agrees with the specification for all small filters and topics', () => {
    fc.assert(
      fc.property(filter, (pattern) => {
        expect(TOPICS.filter((topic) => matches(pattern, topic))).toEqual(topicsOf(pattern))
      }),
      { numRuns: 300 },
    )
  })

  it.each([
    ['#', 'a/b'],
    ['#', '/'],
    ['a/#', 'a'],
    ['a/+/#', 'a/b'],
    ['+/+', '/finance'],
    ['/+', '/finance'],
    ['sport/+', 'sport/'],
    ['+', 'a'],
    ['$SYS/#', '$SYS/x'],
    ['$SYS/+', '$SYS/x'],
    ['a/é/+', 'a/é/b'],
  ])('%j matches %j', (pattern, topic) => {
    expect(matches(pattern, topic)).toBe(true)
  })

  it.each([
    ['#', '$SYS/x'],
    ['+/x', '$SYS/x'],
    ['+', '/finance'],
    ['sport/+', 'sport'],
    ['a/#', 'ab'],
    ['a/#', 'A'],
    ['a', 'a/'],
    ['a/', 'a'],
    ['ab', 'a'],
    ['a', 'ab'],
    ['a/+/c', 'a/b/d'],
    ['a/+/#', 'a'],
    ['#', ''],
    ['$SYS/#', '$SYSTEM'],
  ])('%j does not match %j', (pattern, topic) => {
    expect(matches(pattern, topic)).toBe(false)
  })
})

describe('relations of filters, against brute force', () => {
  it('contains: every topic of the narrow one is a topic of the wide one', () => {
    fc.assert(
      fc.property(filter, filter, (wide, narrow) => {
        const expected = topicsOf(narrow).every((topic) => matchesByTheBook(wide, topic))
        expect(contains(wide, narrow)).toBe(expected)
      }),
      { numRuns: 3000 },
    )
  })

  it('contains: a filter made wider contains the one it was made from', () => {
    fc.assert(
      fc.property(filter, fc.nat(3), (narrow, level) => {
        const levels = narrow.split('/')
        fc.pre(level < levels.length && (level > 0 || !narrow.startsWith('$')))
        expect(contains([...levels.slice(0, level), '#'].join('/'), narrow)).toBe(true)
        if (levels[level] === '#') return
        expect(contains(levels.with(level, '+').join('/'), narrow)).toBe(true)
      }),
    )
  })

  it('overlaps: some topic belongs to both', () => {
    fc.assert(
      fc.property(filter, filter, (a, b) => {
        const expected = topicsOf(a).some((topic) => matchesByTheBook(b, topic))
        expect(overlaps(a, b)).toBe(expected)
        expect(overlaps(b, a)).toBe(expected)
      }),
      { numRuns: 3000 },
    )
  })

  it('unionContains: every topic of the narrow one is a topic of one of the others', () => {
    fc.assert(
      fc.property(fc.array(filter, { maxLength: 6 }), filter, (wides, narrow) => {
        const expected = topicsOf(narrow).every((topic) => wides.some((wide) => matchesByTheBook(wide, topic)))
        expect(unionContains(wides, narrow)).toBe(expected)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('containment by example', () => {
  it.each([
    ['#', 'a'],
    ['#', '#'],
    ['+/#', '#'],
    ['/+/#', '/#'],
    ['a/#', 'a'],
    ['a/#', 'a/+/b/#'],
    ['+/+', 'a/+'],
    ['$SYS/#', '$SYS'],
  ])('%j contains %j', (wide, narrow) => {
    expect(contains(wide, narrow)).toBe(true)
  })

  it.each([
    ['+', '#'],
    ['a/+', 'a/#'],
    ['a/+/#', 'a/#'],
    ['a/+', 'a'],
    ['a', '+'],
    ['#', '$SYS/x'],
    ['+/x', '$SYS/x'],
    ['$SYS/#', '#'],
    ['a/b/#', 'a/+/#'],
    ['+/b', 'a/+'],
  ])('%j does not contain %j', (wide, narrow) => {
    expect(contains(wide, narrow)).toBe(false)
  })

  it('a union can contain what none of its parts does', () => {
    expect(unionContains(['a', 'a/+', 'a/+/+/#'], 'a/#')).toBe(true)
    expect(unionContains(['+', '+/+/#'], '#')).toBe(true)
    expect(unionContains(['a', 'a/+', 'a/+/+/+/#'], 'a/#')).toBe(false)
    expect(unionContains(['a/b', 'a/c'], 'a/+')).toBe(false)
    expect(unionContains([], 'a')).toBe(false)
  })
})

describe('validity', () => {
  it.each(['a', '/', 'a//b', 'a/', ' ', 'é/日本/😀', '$SYS/x', 'a*?[]\\', 'x'.repeat(MAX_TOPIC_BYTES), '\ufeffa'])(
    '%j is a topic name',
    (topic) => {
      expect(isTopicName(topic)).toBe(true)
    },
  )

  const bad = {
    'nothing at all': '',
    NUL: 'a\u0000b',
    'a line feed': 'a\nb',
    'a C1 control': 'a\u0085b',
    DEL: 'a\u007f',
    'a lone high surrogate': 'a\ud800',
    'a lone low surrogate': '\udc00a',
    'a byte too many': 'x'.repeat(MAX_TOPIC_BYTES + 1),
    'bytes, not characters': 'é'.repeat(MAX_TOPIC_BYTES / 2 + 1),
    'a level too many': Array.from({ length: MAX_TOPIC_LEVELS + 1 }, () => 'a').join('/'),
  }
  it.each(Object.entries(bad))('%s is neither name nor filter', (_, text) => {
    expect(isTopicName(text)).toBe(false)
    expect(isTopicFilter(text)).toBe(false)
  })

  it.each(['a/+', '#', 'a/#/b', 'a+', 'a#'])('%j is no topic name', (topic) => {
    expect(isTopicName(topic)).toBe(false)
  })

  it.each(['a/#/b', 'a#', '#a', 'a+', '+a', 'a/+b/c', '##', '++'])('%j is no topic filter', (text) => {
    expect(isTopicFilter(text)).toBe(false)
  })

  it.each([
    ...['#', '+', 'a/#', '+/+/#', '/', '$share/g/a', 'a*', 'a?', 'a[b]/+', 'a\\b', 'a/]/#'],
    Array.from({ length: MAX_TOPIC_LEVELS }, () => '+').join('/'),
  ])('%j is a topic filter', (text) => {
    expect(isTopicFilter(text)).toBe(true)
  })

  it('is decided level by level', () => {
    const unit = fc.constantFrom('a', 'é', '/', '/', '+', '#', '*', '\u2028', '\u2029', '\n', '\u0000', '\ud800', '$')
    const isPlain = (level: string): boolean => !/[+#]/.test(level)
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 8 }), (text) => {
        const sound = text !== '' && text.isWellFormed() && !/[\n\u0000]/.test(text)
        const levels = text.split('/')
        const last = levels.length - 1
        const wild = levels.every((level, at) => isPlain(level) || level === '+' || (level === '#' && at === last))
        expect(isTopicName(text)).toBe(sound && levels.every(isPlain))
        expect(isTopicFilter(text)).toBe(sound && wild)
      }),
      { numRuns: 3000 },
    )
  })

  it('never throws, and a name is a filter', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        expect(isTopicFilter(text) || !isTopicName(text)).toBe(true)
      }),
    )
  })

  it('what begins with $ is reserved, nothing else', () => {
    expect(['$', '$SYS', '$share/g/a'].every(isReserved)).toBe(true)
    expect(['a/$', '', '#', ' $'].some(isReserved)).toBe(false)
  })
})
