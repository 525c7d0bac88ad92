import { isIPv4, isIPv6 } from 'node:net'

/**
 * The header that a load balancer puts in front of a connection, of PROXY protocol 1 (text) or 2 (binary)
 * [haproxy.org, proxy-protocol.txt].
 */
export type ProxyHeader =
  | { readonly state: 'more' }
  | { readonly state: 'invalid'; readonly reason: string }
  /** `length` bytes belong to the header. Without `address` the proxy itself is the client, as for its health checks. */
  | { readonly state: 'complete'; readonly length: number; readonly address: string | undefined }

const SIGNATURE_1 = Buffer.from('PROXY ')
const SIGNATURE_2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n')
/** The longest line of version 1 [2.1]. */
const MAX_LINE_BYTES = 107
const HEAD_BYTES = 16
/** After the head of version 2: addresses, and what else a proxy tells; none is known to tell 4 KiB. */
const MAX_REST_BYTES = 4096

const COMMAND_LOCAL = 0x20
const COMMAND_PROXY = 0x21
const FAMILY_UNSPECIFIED = 0x00
const FAMILY_TCP4 = 0x11
const FAMILY_TCP6 = 0x21

/** Reads a header from the first bytes of a connection; at most 4,112 are needed. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, SIGNATURE_1)) return bytes.length < SIGNATURE_1.length ? { state: 'more' } : parseLine(bytes)
  if (startsLike(bytes, SIGNATURE_2)) return bytes.length < HEAD_BYTES ? { state: 'more' } : parseBinary(bytes)
  return invalid('the connection does not begin with a PROXY header')
}

function startsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length)
  return bytes.compare(signature, 0, length, 0, length) === 0
}

function parseLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf('\r\n')
  if (end < 0) return bytes.length < MAX_LINE_BYTES ? { state: 'more' } : invalid('the header line does not end')
  const length = end + 2
  const [, family = '', source = '', target = '', ...ports] = bytes.toString('latin1', 0, end).split(' ')
  if (family === 'UNKNOWN') return { state: 'complete', length, address: undefined }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6Plain : undefined
  if (isAddress === undefined) return invalid('the protocol is neither TCP4 nor TCP6')
  if (!isAddress(source) || !isAddress(target)) return invalid('an address is not valid')
  if (ports.length !== 2 || !ports.every(isPort)) return invalid('a port is not valid')
  return { state: 'complete', length, address: source }
}

function parseBinary(bytes: Buffer): ProxyHeader {
  const command = bytes.readUInt8(12)
  const family = bytes.readUInt8(13)
  const rest = bytes.readUInt16BE(14)
  if (command !== COMMAND_LOCAL && command !== COMMAND_PROXY) return invalid('unknown version or command')
  if (rest > MAX_REST_BYTES) return invalid('the header is too long')
  const length = HEAD_BYTES + rest
  if (bytes.length < length) return { state: 'more' }
  if (command === COMMAND_LOCAL || family === FAMILY_UNSPECIFIED) {
    return { state: 'complete', length, address: undefined }
  }
  if (family === FAMILY_TCP4 && rest >= 12) {
    return { state: 'complete', length, address: bytes.subarray(16, 20).join('.') }
  }
  if (family === FAMILY_TCP6 && rest >= 36) {
    return { state: 'complete', length, address: addressOf6(bytes.subarray(16, 32)) }
  }
  return invalid('the addresses are not those of TCP over IPv4 or IPv6')
}

/** Sixteen bytes as an address; IPv4 within IPv6 as IPv4. */
function addressOf6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16))
  const text = groups.join(':')
  return text.startsWith('0:0:0:0:0:ffff:') ? bytes.subarray(12).join('.') : text
}

/** Without a zone, which means nothing on another machine. */
function isIPv6Plain(text: string): boolean {
  return isIPv6(text) && !text.includes('%')
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

function invalid(reason: string): ProxyHeader {
  return { state: 'invalid', reason }
}
