import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readDocument } from '../../../shared/policies/document.ts'
import { DEFAULT_POLICY, SETTING_NAMES } from '../../../shared/policies/settings.ts'
import { describeOutcome } from './payloads-page.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/policies.md'), 'utf8')
const examples = [...page.matchAll(/^\| `(\{.*?\})` +\| `(.+?)` +\| `([^|]+)` +\|$/gm)].map(
  ([, policy = '', payload = '', outcome = '']) => ({ policy, payload, outcome }),
)

describe('docs/policies.md', () => {
  it.each(examples)('$policy: $payload', async ({ policy, payload, outcome }) => {
    const document = readDocument(JSON.parse(policy), 'demo')
    expect(await describeOutcome(Buffer.from(payload), { document })).toBe(outcome)
  })

  it('shows every setting, with what is built in', () => {
    const rows = [...page.matchAll(/^\| `(\w+)` +\|[^|]+\| `([^|]+)` +\|[^|]+\|$/gm)].map(([, name, value]) => [
      name,
      value,
    ])
    expect(rows).toEqual(SETTING_NAMES.map((name) => [name, String(DEFAULT_POLICY[name]) || 'none']))
    expect(examples.length).toBeGreaterThan(8)
  })
})
