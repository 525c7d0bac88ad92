import type { Page } from 'playwright-core'
import { beforeEach, expect, it } from 'vitest'
import { needChromium } from './chromium.ts'
import { connectDevice, createDevice, openFresh } from './first-visit.ts'
import { startServer, type Server } from './server.ts'

beforeEach(needChromium)

const AHEAD = Date.now() + 2 * 86_400_000
const HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'

async function call(server: Server, method: string, path: string, body?: unknown): Promise<unknown> {
  const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' }
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers,
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  expect(answer.ok).toBe(true)
  return answer.json()
}

const letters = (page: Page) => page.locator('#letters-list > li')
const open = (page: Page, view: string) => page.locator(`#${view} > summary`).click()

/** A page on which nothing is cut off, or has to be moved sideways, at the width of a small phone. */
async function fitsPhone(page: Page): Promise<void> {
  await page.setViewportSize({ width: 360, height: 740 })
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
  const cut = await page.evaluate<string[]>(`[...document.querySelectorAll(':is(#letters, #trace) *')]
    .filter((one) => one.getBoundingClientRect().right > 360 && one.checkVisibility() && !one.closest('.wide'))
    .map((one) => one.outerHTML.slice(0, 100))`)
  expect(cut).toEqual([])
  await page.setViewportSize({ width: 1280, height: 900 })
}

/** Every control of the views has a name, and what is behind them is reached with the keyboard. */
async function areNamed(page: Page): Promise<void> {
  const unnamed = await page.evaluate<
    string[]
  >(`[...document.querySelectorAll(':is(#letters, #trace) :is(input, select, button, summary)')]
    .filter((one) => !(one.textContent.trim() || one.labels?.[0]?.textContent.trim())).map((one) => one.outerHTML)`)
  expect(unnamed).toEqual([])
}

it('dead letters are chosen, opened, replayed after a dry run, and discarded', async () => {
  const server = await startServer()
  const { page } = await openFresh(server)
  const login = await createDevice(page, 'demo/my-device')
  const device = await connectDevice(server, login)
  const topic = 't/demo/my-device/telemetry'
  for (const value of [1, 2]) await device.publishAsync(topic, `{"ts":${AHEAD + value},"v":${value}}`, { qos: 1 })
  await device.publishAsync(topic, HOSTILE, { qos: 1 })
  await device.publishAsync(topic, Buffer.from([0xff, 0, 0x41, 0x42]), { qos: 1 })
  await page.locator('#refusals-list code', { hasText: 'payload_not_utf8' }).waitFor()

  await open(page, 'letters')
  await page.locator('#letters-sum', { hasText: '4 letters' }).waitFor()
  expect(await letters(page).count()).toBe(4)
  await areNamed(page)
  await fitsPhone(page)

  // Opened: what it is, whatever it holds.
  const hostile = letters(page).filter({ hasText: 'payload_not_json' })
  await hostile.locator('summary').press('Enter')
  await hostile.locator('.payload', { hasText: HOSTILE }).waitFor()
  await letters(page).filter({ hasText: 'payload_not_utf8' }).locator('summary').click()
  await page.locator('.payload', { hasText: /^0000 {2}ff 00 41 42 +\.\.AB$/ }).waitFor()
  expect(await page.locator('main img, main script, main [onerror]').count()).toBe(0)
  await fitsPhone(page)

  // Nothing is done by the dry run.
  await page.selectOption('#letters-code', 'time_ahead')
  await page.fill('#letters-who', 'demo/my-device')
  await page.getByRole('button', { name: 'Show letters' }).click()
  await page.locator('#letters-sum', { hasText: /^2 letters.*open 2/ }).waitFor()
  await call(server, 'PUT', '/v1/policies?tenant=demo', { revision: 0, document: { time_future: 'accept' } })
  await page.locator('#letters-acts').getByRole('button', { name: 'Try a replay' }).click()
  await page.locator('#letters-acts', { hasText: 'letters 2, skipped 0' }).waitFor()
  expect(await page.locator('#letters-acts tbody tr').count()).toBe(2)
  expect(await call(server, 'GET', '/v1/jobs')).toMatchObject({ jobs: [] })
  await fitsPhone(page)
  await page.getByRole('button', { name: 'Replay now' }).click()
  await page.locator('#letters-sum', { hasText: 'replayed 2' }).waitFor()
  await page.locator('#letters-acts', { hasText: /Job \d+ is done: .*stored 2/ }).waitFor()

  // One letter by itself.
  await page.selectOption('#letters-code', 'payload_not_json')
  await page.getByRole('button', { name: 'Show letters' }).click()
  await page.locator('#letters-sum', { hasText: /^1 letters/ }).waitFor()
  await letters(page).locator('summary').click()
  await letters(page).getByRole('button', { name: 'Discard' }).click()
  await letters(page).getByRole('button', { name: 'Discard now' }).click()
  await letters(page)
    .filter({ hasText: /Job \d+ is done/ })
    .waitFor()
  await page.getByRole('button', { name: 'Show letters' }).click()
  await page.locator('#letters-sum', { hasText: 'discarded 1' }).waitFor()
  await page.fill('#letters-who', 'demo/nobody')
  await page.getByRole('button', { name: 'Show letters' }).click()
  await page.locator('#letters-sum', { hasText: 'No dead letters.' }).waitFor()
  expect(await page.locator('#letters-acts').isVisible()).toBe(false)
  expect(await page.title()).toBe('Sluice')
})

it('a device is traced, message by message', async () => {
  const server = await startServer()
  const { page } = await openFresh(server)
  const login = await createDevice(page, 'demo/my-device')
  const device = await connectDevice(server, login)
  const topic = 't/demo/my-device/telemetry'
  await device.publishAsync(topic, JSON.stringify({ [HOSTILE]: 1, note: HOSTILE }), { qos: 1 })
  await device.publishAsync(topic, `{"a":1,"ts":${AHEAD}}`, { qos: 1 })
  await device.publishAsync(`t/demo/other/${HOSTILE}`, '1', { qos: 1 })
  await page.locator('#refusals-list code', { hasText: 'time_ahead' }).waitFor()
  await page.locator('#refusals-list code', { hasText: 'not_authorised' }).waitFor()

  await open(page, 'trace')
  await page.getByRole('button', { name: 'Trace' }).click()
  await page.locator('#trace-problem', { hasText: 'tenant/device' }).waitFor()
  await page.fill('#trace-who', 'demo/my-device')
  await page.getByRole('button', { name: 'Trace' }).click()
  await page.locator('#trace-sum', { hasText: '3 messages and refusals' }).waitFor()
  const items = page.locator('#trace-list > li')
  const heads = await items.locator('strong').allTextContents()
  expect(heads).toEqual(['2 stored', '1 fault', 'Message refused'])
  expect(await items.nth(0).textContent()).toContain(HOSTILE)
  expect(await items.nth(1).textContent()).toContain('time_ahead')
  expect(await page.locator('main img, main script, main [onerror]').count()).toBe(0)
  await areNamed(page)
  await fitsPhone(page)
  await page.fill('#trace-who', 'demo/nobody')
  await page.getByRole('button', { name: 'Trace' }).click()
  await page.locator('#trace-sum', { hasText: 'Nothing was received' }).waitFor()
})
