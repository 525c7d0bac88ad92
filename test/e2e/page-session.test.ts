import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { needChromium, openPage } from './chromium.ts'
import { openFresh } from './first-visit.ts'
import { startServer } from './server.ts'

beforeEach(needChromium)

/** A server that somebody else runs on this host: all that browsers told it. */
async function startStranger() {
  const seen: string[] = []
  const stranger = createServer((request, response) => {
    seen.push(JSON.stringify([request.url, request.rawHeaders]))
    response.end('<!doctype html><title>other</title>')
  })
  onTestFinished(() => void stranger.close())
  stranger.listen(0, '127.0.0.1')
  await once(stranger, 'listening')
  return { url: `http://127.0.0.1:${(stranger.address() as AddressInfo).port}/`, seen }
}

const stored = (page: Page) => page.evaluate<string>('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])')
const state = (page: Page, name: string) => page.waitForSelector(`[data-state="${name}"]`)
/** Chromium writes a line for each request that fails: at the gate, and while the server stops. */
const isGate = /status of (401|503)/

describe('a session of the page', () => {
  it('tells nothing to another server on the same host, and keeps the key nowhere', async () => {
    const server = await startServer()
    const stranger = await startStranger()
    const { page, tolerate } = await openFresh(server)
    tolerate(new RegExp(`^request to ${stranger.url}`))
    tolerate(/favicon/)
    expect(await page.context().cookies()).toEqual([])
    const kept = await stored(page)
    expect(kept).not.toContain(server.token)
    const [session = ''] = /session\.[\w-]+/.exec(kept) ?? []

    await page.goto(stranger.url)
    expect(stranger.seen.length).toBeGreaterThan(0)
    expect(stranger.seen.join('')).not.toMatch(/cookie/i)
    for (const secret of [server.token, session]) expect(stranger.seen.join('')).not.toContain(secret)
    expect(await stored(page)).toBe('[{},{}]')

    await page.goto(server.url)
    await state(page, 'waiting')
  })

  it('is shared with a second tab, which needs no key, and ends in both with the log-out', async () => {
    const server = await startServer()
    const { page, tolerate } = await openFresh(server)
    tolerate(isGate)
    const session = /session\.[\w-]+/.exec(await stored(page))?.[0] ?? ''
    const second = await page.context().newPage()
    await second.goto(server.url)
    await state(second, 'waiting')
    await second.waitForSelector('[data-link="open"]')

    await page.getByRole('button', { name: 'Log out' }).click()
    await state(page, 'gate')
    await state(second, 'gate')
    for (const tab of [page, second]) expect(await stored(tab)).toBe('[{},{}]')
    const answer = await fetch(`${server.url}/v1/status`, { headers: { authorization: `Bearer ${session}` } })
    expect(await answer.json()).toMatchObject({ code: 'session_ended' })
    await page.reload()
    await state(page, 'gate')
  })

  it('goes on in a tab that is restored, and after a restart in one that stayed open', async () => {
    const server = await startServer()
    const { page, tolerate } = await openFresh(server)
    tolerate(isGate)
    tolerate(/^Failed to load resource: net::ERR_/)
    await page.reload()
    await state(page, 'waiting')
    const before = await stored(page)

    // Opened again with its storage, as a browser does with tabs that were closed, it knows the session and not the key.
    const restored = await openPage(server.url)
    restored.tolerate(isGate)
    restored.tolerate(/^Failed to load resource: net::ERR_/)
    const [, kept = {}] = JSON.parse(before) as Record<string, string>[]
    await restored.page.addInitScript(
      `if (sessionStorage.length === 0) Object.assign(sessionStorage, ${JSON.stringify(kept)})`,
    )
    await restored.page.goto(server.url)
    await state(restored.page, 'waiting')

    // The key is in the memory of this tab alone.
    await page.goto(`${server.url}/#token=${server.token}`)
    await expect.poll(() => page.evaluate('JSON.stringify({ ...sessionStorage })')).not.toBe(JSON.stringify(kept))
    await page.waitForSelector('[data-link="open"]')
    await server.kill('SIGTERM')
    await page.locator('#lost').waitFor({ state: 'visible' })
    const { folder, mqttPort, httpPort } = server
    await startServer({ folder, mqttPort, httpPort })
    await page.locator('#lost').waitFor({ state: 'hidden' })
    await page.waitForSelector('[data-link="open"]')
    await state(restored.page, 'gate')
    expect(await restored.page.locator('#gate-problem').textContent()).toContain('session has ended')
  })
})
