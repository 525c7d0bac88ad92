import fc from 'fast-check'
import { expect, it } from 'vitest'
import { clientAddress, isLoopback, networksOf, siteOf, withoutMapping } from '../../../shared/addresses.ts'

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

it('a client behind listed proxies is who the last of them saw, whatever it wrote itself', () => {
  const isProxy = networksOf(['10.0.0.0/8', '2001:db8:1::/48'])
  const proxy = fc.oneof(
    fc.nat(0xff_ffff).map((n) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`),
    fc.nat(0xffff).map((n) => `2001:db8:1::${n.toString(16)}`),
  )
  const client = fc.oneof(
    fc.ipV4().filter((address) => !isProxy(address)),
    fc.ipV6().filter((address) => !isProxy(address)),
  )
  const madeUp = fc.oneof(fc.string(), client, proxy, fc.constant('127.0.0.1'), fc.constant('unknown'))
  const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined })
  fc.assert(
    fc.property(fc.array(madeUp), client, fc.array(proxy), proxy, port, (before, who, between, peer, at) => {
      const isV6 = who.includes(':')
      const written = at === undefined ? who : isV6 ? `[${who}]:${at}` : `${who}:${at}`
      const header = [...before, written, ...between].join(', ')
      expect(clientAddress(peer, header, isProxy)).toBe(who)
      expect(clientAddress(who, header, isProxy)).toBe(who)
    }),
  )
})

it.each([undefined, '', ' , ', 'unknown', '10.0.0.1; DROP', 'x'.repeat(10_000)])(
  'a listed proxy that names nobody with %j is the client',
  (header) => {
    expect(clientAddress('10.0.0.9', header, networksOf(['10.0.0.0/8']))).toBe('10.0.0.9')
  },
)
