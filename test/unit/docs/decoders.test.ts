import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DECODER_NAMES } from '../../../shared/decoders/decoder-names.ts'
import { readDocument } from '../../../shared/policies/document.ts'
import { describeOutcome } from './payloads-page.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/decoders.md'), 'utf8')
const examples = [...page.matchAll(/^\| `(\{.*?\})` +\| `(.+?)` +\| `([^|]+)` +\|$/gm)].map(
  ([, policy = '', payload = '', outcome = '']) => ({ policy, payload, outcome }),
)

/** Bytes where they stand in hexadecimal digits. */
function bytesOf(payload: string): Uint8Array {
  const [, digits] = /^<([0-9a-f]+)>$/.exec(payload) ?? []
  return digits === undefined ? Buffer.from(payload) : Buffer.from(digits, 'hex')
}

describe('docs/decoders.md', () => {
  it.each(examples)('$policy: $payload', async ({ policy, payload, outcome }) => {
    const document = readDocument(JSON.parse(policy), 'demo')
    expect(await describeOutcome(bytesOf(payload), { document })).toBe(outcome)
  })

  it('lists every decoder, and shows each at work', () => {
    expect([...page.matchAll(/^\| `(\w+)` +\|[^|]+\|$/gm)].map(([, name]) => name)).toEqual([...DECODER_NAMES])
    const shown = examples.flatMap(({ policy }) => (JSON.parse(policy) as { decoder?: string }).decoder ?? 'auto')
    expect(DECODER_NAMES.filter((name) => !shown.includes(name))).toEqual([])
  })
})
