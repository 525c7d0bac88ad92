import { beforeEach, expect, it } from 'vitest'
import { needChromium } from './chromium.ts'
import { openFresh } from './first-visit.ts'
import { startServer } from './server.ts'
import { sluice } from './sluice.ts'

beforeEach(needChromium)

it('the page names a field that looks like a time which is not used', async () => {
  const server = await startServer()
  await sluice(server, 'devices', 'add', 'demo/pump')
  const headers = { authorization: `Bearer ${server.token}` }
  const url = `${server.url}/v1/devices/demo/pump/readings`
  const body = JSON.stringify({ measuredAt: Math.floor(Date.now() / 1000) - 5, n: 1_000 })
  expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(202)
  const { page } = await openFresh(server)
  await page.locator('#latest tbody tr').nth(1).waitFor()
  const types = await page.locator('#latest tbody tr td:nth-of-type(2)').allInnerTexts()
  expect(types).toEqual(['number (a time? see the policy time_keys)', 'number'])
})

it('the page shows what was declared of a field: its unit beside the value, and what people call it', async () => {
  const server = await startServer()
  await sluice(server, 'devices', 'add', 'demo/pump')
  await sluice(server, 'types', 'set', 'demo', 'temperature', '--unit', '°C', '--name', 'Air <b>')
  const headers = { authorization: `Bearer ${server.token}` }
  const url = `${server.url}/v1/devices/demo/pump/readings`
  expect((await fetch(url, { method: 'POST', headers, body: '{"temperature":21.5,"rain":true}' })).status).toBe(202)
  const { page } = await openFresh(server)
  await page.locator('#latest tbody tr').nth(1).waitFor()
  const rows = (await page.locator('#latest tbody tr').allInnerTexts()).map((text) => text.replaceAll(/\s+/g, ' '))
  expect(rows.map((text) => text.replace(/ \d\d:\d\d:\d\d.*$/, '').trim())).toEqual([
    'temperature (Air <b>) 21.5 °C number',
    'rain true boolean',
  ])
})
