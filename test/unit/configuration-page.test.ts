import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { configurationFile, configurationPage } from '../../docs/tools/configuration-page.ts'

it('docs/configuration.md is what `npm run docs:configuration` writes from the settings', async () => {
  expect(readFileSync(configurationFile, 'utf8')).toBe(await configurationPage())
})
