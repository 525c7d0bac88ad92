import { beforeEach, expect, it } from 'vitest'
import { ApiClient, devicePath } from '../../shared/api-client.ts'
import { PATIENCE } from '../patience.ts'
import { needChromium } from './chromium.ts'
import { openFresh } from './first-visit.ts'
import { startServer } from './server.ts'

beforeEach(needChromium)

/** More numbers than there are charts, of which one has more digits than a double holds. */
const FIELDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((letter) => `${letter}-${'long-name'.repeat(12)}`)
const LARGE = '9007199254740993'

it('long names fit 360 pixels, large integers are exact, and each field can have a chart', async () => {
  const server = await startServer()
  const api = new ApiClient({ url: server.url, token: server.token })
  const [tenant, device] = ['t'.padEnd(64, 'x'), 'd'.padEnd(128, 'x')]
  await api.post('/v1/devices', { tenant, device })
  const { page } = await openFresh(server)
  const send = () => {
    const values = FIELDS.map((field, index) => `${JSON.stringify(field)}:${index + 1}`).join(',')
    return fetch(`${server.url}${devicePath(tenant, device, '/readings')}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.token}` },
      body: `{${values},"large":${LARGE}}`,
    })
  }
  expect((await send()).status).toBe(202)
  const tracks = () => page.locator('.track .track-name').allTextContents()
  await expect.poll(async () => (await tracks()).length, PATIENCE).toBe(6)
  await page.locator('.track canvas').first().waitFor()
  await page.setViewportSize({ width: 360, height: 740 })
  // Beyond the window, scroll bar and all, where something sticks out.
  const width = () => page.evaluate<number>('document.scrollingElement.scrollWidth')
  await expect.poll(width, PATIENCE).toBeLessThanOrEqual(360)
  await page.locator('#latest tbody tr', { hasText: 'large' }).getByText(LARGE).first().waitFor()

  const row = page.locator('#latest tbody tr', { hasText: FIELDS[7] ?? '' })
  await row.getByRole('button').click()
  await expect.poll(async () => (await tracks()).some((name) => name.startsWith('h-')), PATIENCE).toBe(true)
  expect(await tracks()).toHaveLength(6)
  expect((await tracks()).some((name) => name.startsWith('f-'))).toBe(false)
  await page
    .locator('#latest tbody tr', { hasText: FIELDS[5] ?? '' })
    .getByRole('button')
    .waitFor()
  await row.getByRole('button').waitFor({ state: 'hidden' })
  await expect.poll(width, PATIENCE).toBeLessThanOrEqual(360)

  await page.reload()
  await page.locator('#latest tbody tr', { hasText: 'large' }).getByText(LARGE).first().waitFor()
  await expect.poll(width, PATIENCE).toBeLessThanOrEqual(360)
})
