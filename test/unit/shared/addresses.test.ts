import { expect, it } from 'vitest'
import { isLoopback, siteOf, withoutMapping } from '../../../shared/addresses.ts'

it.each(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '::FFFF:127.0.0.1', 'localhost'])(
  '%s is loopback',
  (address) => {
    expect(isLoopback(address)).toBe(true)
  },
)

it.each(['', '0.0.0.0', '::', '128.0.0.1', '1.127.0.1', '127.evil.example', '::2', '::ffff:10.0.0.1'])(
  '%s is not',
  (address) => {
    expect(isLoopback(address)).toBe(false)
  },
)

it('an IPv6 site is its /64, however it is written', () => {
  const site = siteOf('2001:db8:0:1::1')
  expect(siteOf('2001:0DB8:0000:0001:ffff::2')).toBe(site)
  expect(siteOf('2001:db8:0:2::1')).not.toBe(site)
  expect(siteOf('::ffff:192.0.2.1')).toBe('192.0.2.1')
  expect(withoutMapping('::FFFF:192.0.2.1')).toBe('192.0.2.1')
})
