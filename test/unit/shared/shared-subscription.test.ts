import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { filterBehind, isShare, isShareForm, isSubscription } from '../../../shared/shared-subscription.ts'
import { isTopicFilter, MAX_TOPIC_LEVELS } from '../../../shared/topic-filter.ts'

const level = fc.constantFrom('a', 'b', '', '+', '$s', 'é')
const filter = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 6 }), fc.boolean())
  .map(([levels, hash]) => (hash ? [...levels, '#'] : levels).join('/'))
  .filter((text) => text !== '')
const name = fc.string({ unit: fc.constantFrom('g', '$', ' ', 'é', '.'), minLength: 1, maxLength: 8 })

describe('a share', () => {
  it('is a name without wildcard and any filter behind it', () => {
    fc.assert(
      fc.property(name, filter, (share, behind) => {
        const text = `$share/${share}/${behind}`
        expect([isShare(text), isShareForm(text), filterBehind(text)]).toEqual([true, true, behind])
        expect(isSubscription(text)).toBe(isTopicFilter(behind))
      }),
    )
  })

  it('of whatever text is valid only in that form, and what is none is a filter as before', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '/', '+', '#', '$', '\u0000', '\ud800'), maxLength: 12 })
    fc.assert(
      fc.property(fc.constantFrom('$share/', '$share', ''), text, (prefix, rest) => {
        const all = prefix + rest
        if (!isShare(all)) {
          expect([isSubscription(all), filterBehind(all)]).toEqual([isTopicFilter(all), all])
          return
        }
        const [, share = '', ...behind] = all.split('/')
        const isNamed = share !== '' && !/[+#\u0000\ud800]/.test(share)
        expect(isSubscription(all)).toBe(isNamed && isTopicFilter(behind.join('/')))
      }),
    )
  })

  it.each([
    '$share',
    '$share/',
    '$share/g',
    '$share/g/',
    '$share//a',
    '$share/+/a',
    '$share/#',
    '$share/g#/a',
    '$share/g+/a',
  ])('%s is none', (text) =>
    expect([isShare(text), isShareForm(text), isSubscription(text)]).toEqual([true, false, false]),
  )

  it('leaves its filter all the levels that a filter may have', () => {
    const behind = new Array(MAX_TOPIC_LEVELS).fill('a').join('/')
    expect([isSubscription(`$share/g/${behind}`), isSubscription(`$share/g/${behind}/a`)]).toEqual([true, false])
  })
})
