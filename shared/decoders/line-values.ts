import { doubleOf } from './json-number.ts'

const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/
const INTEGER = /^(-?)(\d{1,20})([iu])$/
const NO_NUMBER = /^[-+]?(?:nan|inf(?:inity)?)$/i
const TRUE: ReadonlySet<string> = new Set(['t', 'T', 'true', 'True', 'TRUE'])
const FALSE: ReadonlySet<string> = new Set(['f', 'F', 'false', 'False', 'FALSE'])
const [MOST, LEAST, MOST_UNSIGNED] = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n]

/** A value of line protocol that stands without quotes; null: no number (`nan`); undefined: none. An integer that no double holds is a bigint. */
export function valueOf(text: string): number | bigint | boolean | null | undefined {
  if (NUMBER.test(text)) {
    const value = Number(text)
    return Number.isFinite(value) ? value : undefined
  }
  const [, minus, digits = '', kind] = INTEGER.exec(text) ?? []
  if (kind !== undefined) return integerOf(BigInt(`${minus}${digits}`), kind)
  if (TRUE.has(text)) return true
  if (FALSE.has(text)) return false
  return NO_NUMBER.test(text) ? null : undefined
}

function integerOf(value: bigint, kind: string): number | bigint | undefined {
  const isInRange = kind === 'i' ? value >= LEAST && value <= MOST : value >= 0n && value <= MOST_UNSIGNED
  return isInRange ? doubleOf(value) : undefined
}
