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
