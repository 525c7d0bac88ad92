import type { AddressInfo } from 'node:net'
import { beforeEach, expect, it } from 'vitest'
import { openApi } from '../integration/query-api/api.ts'
import { needChromium, openPage } from './chromium.ts'

beforeEach(needChromium)

it('the API description can be read and tried in a browser, within its policy', async () => {
  const { app, token } = await openApi()
  await app.listen({ host: '127.0.0.1', port: 0 })
  const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  // Any violation of the policy, console error or request to another host fails the test.
  const { page } = await openPage(origin)
  await page.goto(`${origin}/docs`)
  await page.getByRole('button', { name: 'Authorize' }).first().click()
  await page.locator('#auth-bearer-value').fill(token)
  await page.getByRole('button', { name: 'Apply credentials' }).first().click()
  await page.getByRole('button', { name: 'Close' }).first().click()
  await page.locator('#operations-operation-get_v1_status .opblock-summary-control').click()
  await page.getByRole('button', { name: 'Try it out' }).click()
  await page.getByRole('button', { name: 'Execute' }).click()
  const answer = page.locator('.live-responses-table tbody .response-col_description').first()
  await answer.waitFor()
  expect(await answer.textContent()).toContain('0.0.0-test')
})
