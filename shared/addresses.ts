import { BlockList, isIP, isIPv6 } from 'node:net'

/** True for an address, or the name localhost, that only this machine reaches. */
export function isLoopback(host: string): boolean {
  const plain = withoutMapping(host)
  return plain === 'localhost' || plain === '::1' || /^127\.\d+\.\d+\.\d+$/.test(plain)
}

/** An IPv4 address that came in over IPv6 (`::ffff:192.0.2.1`), as IPv4; anything else in lower case. */
export function withoutMapping(address: string): string {
  const lower = address.toLowerCase()
  return lower.startsWith('::ffff:') && lower.includes('.') ? lower.slice(7) : lower
}

/** Whether an address is one of these addresses and networks (`10.0.0.0/8`). What is no address is none of them. */
export function networksOf(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return (text) => {
    const address = withoutMapping(text).split('%')[0] ?? ''
    return isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
}

/**
 * The address of a client: that of its socket, or, where a listed proxy has that, the last one in `X-Forwarded-For` that no
 * listed proxy has. What others write there stands further to the left and means nothing; neither does what is no address.
 */
export function clientAddress(peer: string, forwardedFor: unknown, isProxy: (address: string) => boolean): string {
  const named = typeof forwardedFor === 'string' ? forwardedFor.split(',') : []
  let address = peer
  while (isProxy(address)) {
    const before = withoutPort(named.pop()?.trim() ?? '')
    if (isIP(before) === 0) break
    address = before
  }
  return address
}

/** Some proxies write `192.0.2.1:4711` and `[2001:db8::1]:4711`. */
function withoutPort(text: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
}

/** Who shares limits: an IPv4 address, or the /64 of an IPv6 address, which is one site. */
export function siteOf(address: string): string {
  const plain = withoutMapping(address)
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('%')[0]?.split('::') ?? []
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  const groups = [...left, ...zeros, ...right].slice(0, 4)
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`
}
