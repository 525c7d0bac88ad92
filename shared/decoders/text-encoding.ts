import { faultOfRecord, type Fault } from '../faults.ts'
import type { TextEncoding } from '../policies/settings.ts'

const BASE64 = /^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}$/
const HEX = /^(?:0[xX])?(?:[0-9A-Fa-f]{2})*$/

/** The bytes that a payload writes as a text, or what is wrong with it. Blanks and line ends are none of it, nor are NULs behind. */
export function decodeText(payload: Uint8Array, encoding: Exclude<TextEncoding, 'none'>): Uint8Array | Fault {
  const { buffer, byteOffset, byteLength } = payload
  const text = Buffer.from(buffer, byteOffset, byteLength).toString('latin1').replace(/\0+$/, '').replaceAll(/\s+/g, '')
  return (
    bytesOf(text, encoding) ??
    faultOfRecord('payload_not_as_declared', `${encoding} expected: other characters, or an odd number`)
  )
}

/** The bytes that a text writes; undefined for any other text. */
export function bytesOf(text: string, encoding: Exclude<TextEncoding, 'none'>): Buffer | undefined {
  const isOne = encoding === 'hex' ? HEX.test(text) : BASE64.test(text) && text.replace(/=+$/, '').length % 4 !== 1
  return isOne ? Buffer.from(encoding === 'hex' ? text.replace(/^0[xX]/, '') : text, encoding) : undefined
}

/** The integer that a text writes in hexadecimal digits, up to 64 bits; undefined for any other text. */
export function hexInteger(text: string): bigint | undefined {
  const [, digits] = /^(?:0[xX]|#)?([0-9A-Fa-f]{1,16})$/.exec(text) ?? []
  return digits === undefined ? undefined : BigInt(`0x${digits}`)
}
