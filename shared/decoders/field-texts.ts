import { isUtf8 } from 'node:buffer'
import type { BytesForm, Policy } from '../policies/settings.ts'
import type { PointValue } from '../telemetry.ts'
import { doubleOf, numberValue } from './json-number.ts'
import { bytesOf, hexInteger } from './text-encoding.ts'

/** What the text of a field stands for; undefined: for itself. */
export type ReadText = (text: string) => PointValue | undefined

/** Fields of the policy whose texts stand for something else, by their names; undefined where there are none. */
export function textReaders(policy: Policy): ReadonlyMap<string, ReadText> | undefined {
  const { hex_numbers: numbers, hex_fields: hex, base64_fields: base64, bytes } = policy
  if (numbers.length + hex.length + base64.length === 0) return undefined
  return new Map([
    ...base64.map((field): [string, ReadText] => [field, (text) => heldIn(bytesOf(text, 'base64'), bytes)]),
    ...hex.map((field): [string, ReadText] => [field, (text) => heldIn(bytesOf(text, 'hex'), bytes)]),
    ...numbers.map((field): [string, ReadText] => [field, numberInHex]),
  ])
}

function numberInHex(text: string): PointValue | undefined {
  const integer = hexInteger(text)
  return integer === undefined ? undefined : doubleOf(integer)
}

/** The number, boolean or text that the bytes are; what is no text is written in the form of the policy. */
function heldIn(bytes: Buffer | undefined, form: BytesForm): PointValue | undefined {
  if (bytes === undefined) return undefined
  const text = isUtf8(bytes) ? bytes.toString() : ''
  if (text === '' || /[^\P{Cc}\t\r\n]/u.test(text)) return bytes.toString(form)
  if (text === 'true' || text === 'false') return text === 'true'
  if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return text
  const number = numberValue(text)
  // One that no double comes near.
  return typeof number === 'string' ? text : number
}
