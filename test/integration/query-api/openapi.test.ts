import { format } from 'prettier'
import { expect, it } from 'vitest'
import { openApi } from './api.ts'

// After a change that is meant: npx vitest run test/integration/query-api/openapi.test.ts -u
it('docs/openapi.json is what the routes say', async () => {
  const { app } = await openApi()
  await app.ready()
  const document = await format(JSON.stringify(app.swagger()), { parser: 'json', printWidth: 120 })
  await expect(document).toMatchFileSnapshot('../../../docs/openapi.json')
})
