import { beforeEach, expect, it } from 'vitest'
import { ApiClient, devicePath } from '../../shared/api-client.ts'
import { PATIENCE } from '../patience.ts'
import { needChromium } from './chromium.ts'
import { openFresh } from './first-visit.ts'
import { startServer } from './server.ts'

beforeEach(needChromium)

it('a page of a fleet offers those that were seen last, and finds any other by a part of its name', async () => {
  const server = await startServer()
  const api = new ApiClient({ url: server.url, token: server.token })
  const names = Array.from({ length: 40 }, (_, i) => `Sensor-${String(i).padStart(2, '0')}`)
  for (const device of names) await api.post('/v1/devices', { tenant: 'fleet', device })
  for (const device of ['Sensor-03', 'Sensor-31']) {
    await api.post(devicePath('fleet', device, '/readings'), { device })
    const seen = async () => JSON.stringify(await api.get(devicePath('fleet', device)))
    await expect.poll(seen, PATIENCE).not.toContain('"lastSeen":null')
  }
  const { page } = await openFresh(server)
  await page.locator('#latest tbody tr', { hasText: 'Sensor-31' }).waitFor()
  expect(await page.locator('#device option').allTextContents()).toEqual(['fleet/Sensor-31', 'fleet/Sensor-03'])
  await page.locator('#find').fill('sensor-2')
  await expect.poll(() => page.locator('#found option').count(), PATIENCE).toBe(10)
  await page.locator('#find').fill('SENSOR-27')
  await page.locator('#find').press('Enter')
  await expect.poll(() => page.locator('#device').inputValue(), PATIENCE).toBe('fleet/Sensor-27')
  expect(await page.locator('#find').inputValue()).toBe('')
})
