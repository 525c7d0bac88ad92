import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { needChromium, openPage } from './chromium.ts'
import { connectDevice, createDevice, openFresh } from './first-visit.ts'
import { startServer } from './server.ts'

beforeEach(needChromium)

const row = (page: Page, code: string) => page.locator('.refusal', { has: page.getByText(code, { exact: true }) })

/** How many pixels of the first chart are not empty. */
function paintedPixels(page: Page): Promise<number> {
  return page.evaluate<number>(`(() => {
    const canvas = document.querySelector('.track canvas')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    return data.filter((value, index) => index % 4 === 3 && value > 0).length
  })()`)
}

describe('a first visit', () => {
  it('waits, makes a device, fills every snippet, and turns into a chart when the reading arrives', async () => {
    const server = await startServer()
    const { page } = await openFresh(server)
    expect(await page.getByRole('heading', { level: 1 }).first().textContent()).toBe('Waiting for your first reading')
    expect(new URL(page.url()).hash).toBe('')

    const login = await createDevice(page, 'demo/my-device')
    expect(login.username).toBe('demo/my-device')
    for (const tab of ['mosquitto_pub', 'curl', 'Python', 'Node', 'ESP32', 'Tasmota']) {
      await page.getByRole('tab', { name: tab }).click()
      const text = (await page.locator('#snippet').textContent()) ?? ''
      expect(text).toContain('127.0.0.1')
      expect(text).toContain(tab === 'curl' ? login.token : login.secret)
      expect(text).toContain(String(tab === 'curl' ? server.httpPort : server.mqttPort))
      await page.locator('#copy-snippet').click()
      expect(await page.evaluate('navigator.clipboard.readText()')).toBe(text)
    }

    const device = await connectDevice(server, login)
    await device.publishAsync('t/demo/my-device/telemetry', '{"temperature":21.5,"ok":true,"name":"first"}', { qos: 1 })
    await page.waitForSelector('[data-state="live"] .track canvas')
    await page.locator('#latest tbody tr').nth(2).waitFor()
    expect(await page.locator('.track-value').textContent()).toBe('21.5')
    const table = await page.locator('#latest tbody tr').allInnerTexts()
    expect(table.map((text) => text.replaceAll(/\s/g, '').replace(/\d\d:\d\d:\d\d$/, ''))).toEqual([
      'temperature21.5number',
      'oktrueboolean',
      'namefirsttext',
    ])
    expect(await paintedPixels(page)).toBeGreaterThan(100)
    expect(await page.locator('#count').textContent()).toBe('1')
    // Presence is written down within a second, and looked at every ten.
    await page.locator('#heard', { hasText: /^online, heard (now|\d+ s ago)$/ }).waitFor()
  })

  it('asks for the token without one, says where it is, and refuses a wrong one', async () => {
    const server = await startServer()
    const { page, tolerate } = await openPage(server.url)
    // Chromium itself writes a line for each 401.
    tolerate(/status of 401/)
    await page.goto(server.url)
    await page.waitForSelector('[data-state="gate"]')
    expect(await page.locator('#gate').textContent()).toContain('DATA_DIR')
    await page.fill('#token', 'not-the-token')
    await page.keyboard.press('Enter')
    await page.locator('#gate-problem', { hasText: 'admin-token' }).waitFor()

    await page.fill('#token', server.token)
    await page.keyboard.press('Enter')
    await page.waitForSelector('[data-state="waiting"]')
    await page.reload()
    await page.waitForSelector('[data-state="waiting"]')
  })
})

describe('a snippet as it is copied', () => {
  const clients = [
    {
      tab: 'mosquitto_pub',
      needs: ['mosquitto_pub', '--help'],
      run: ['sh', '-c'],
      enable: 'apt-get install mosquitto-clients',
    },
    { tab: 'curl', needs: ['curl', '--version'], run: ['sh', '-c'], enable: 'apt-get install curl' },
    {
      tab: 'Python',
      needs: ['python3', '-c', 'import paho.mqtt.enums'],
      run: ['python3', '-c'],
      enable: 'pip install "paho-mqtt>=2"',
    },
    { tab: 'Node', needs: ['sh', '-c', ':'], run: [process.execPath, '--input-type=module', '-e'], enable: 'npm ci' },
  ] as const

  it.for(clients)('stores a reading: $tab', async ({ tab, needs, run, enable }, context) => {
    const [probe, ...probeArgs] = needs
    const { status } = spawnSync(probe, probeArgs)
    context.skip(status === null || (tab === 'Python' && status !== 0), `no ${tab}; enable with: ${enable}`)
    const server = await startServer()
    const { page } = await openFresh(server)
    await createDevice(page, 'demo/my-device')
    await page.getByRole('tab', { name: tab }).click()
    const snippet = (await page.locator('#snippet').textContent()) ?? ''

    const [command, ...args] = run
    const client = spawn(command, [...args, snippet], { cwd: join(import.meta.dirname, '../..'), stdio: 'ignore' })
    const gone = once(client, 'exit')
    onTestFinished(async () => {
      client.kill('SIGKILL')
      await gone
    })
    await page.waitForSelector('[data-state="live"] .track canvas')
    await page.locator('#latest tbody th', { hasText: 'temperature' }).waitFor()
  })
})

describe('what was refused', () => {
  it('is listed with who, what, the code and the fix', async () => {
    const server = await startServer()
    const { page } = await openFresh(server)
    const login = await createDevice(page, 'demo/my-device')

    await expect(connectDevice(server, { ...login, secret: 'wrong' })).rejects.toThrow()
    const device = await connectDevice(server, login)
    await device.publishAsync('t/demo/other/telemetry', '{"temperature":1}', { qos: 1 })
    await device.publishAsync('t/demo/my-device/telemetry', '{temperature: 1}', { qos: 1 })
    await device.publishAsync('t/demo/my-device/telemetry', '{temperature: 2}', { qos: 1 })
    await device.publishAsync('t/demo/my-device/telemetry', '{"temperature":1,"ts":12}', { qos: 1 })

    const codes = ['login_failed', 'not_authorised', 'payload_not_json', 'clock_not_set']
    for (const code of codes) {
      await row(page, code).waitFor()
      expect((await row(page, code).locator('.fix').textContent())?.length).toBeGreaterThan(20)
    }
    const text = async (code: string) => (await row(page, code).textContent()) ?? ''
    expect(await text('login_failed')).toContain('demo/my-device')
    expect(await text('not_authorised')).toContain('t/demo/other/telemetry')
    await row(page, 'payload_not_json').getByText('2 times').waitFor()
    expect(await row(page, 'payload_not_json').locator('.payload').textContent()).toBe('{temperature: 2}')
    expect(await text('clock_not_set')).toContain('Stored')
    expect(await page.locator('#refusals-none').isVisible()).toBe(false)

    await page.reload()
    await row(page, 'login_failed').waitFor()
    expect(await row(page, 'payload_not_json').getByText('2 times').count()).toBe(1)
  })

  it('stays text, whatever a topic, a payload, a name, a field or a value holds', async () => {
    const server = await startServer()
    const { page } = await openFresh(server)
    const login = await createDevice(page, 'demo/my-device')
    const hostile = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'

    await expect(connectDevice(server, { username: hostile, secret: 'x' })).rejects.toThrow()
    const device = await connectDevice(server, login)
    await device.publishAsync(`t/demo/${hostile}/telemetry`, hostile, { qos: 1 })
    await device.publishAsync('t/demo/my-device/telemetry', hostile, { qos: 1 })
    await device.publishAsync('t/demo/my-device/telemetry', '{"a\u202eb', { qos: 1 })
    const reading = JSON.stringify({ [hostile]: 1, note: hostile, __proto: 2 })
    await device.publishAsync('t/demo/my-device/telemetry', reading.replace('__proto', '__proto__'), { qos: 1 })
    await device.publishAsync('t/demo/my-device/telemetry', JSON.stringify({ [hostile]: 1, note: hostile }), { qos: 1 })

    await page.locator('.track canvas').first().waitFor()
    await row(page, 'login_failed').waitFor()
    await row(page, 'payload_not_json').waitFor()
    expect(await row(page, 'login_failed').textContent()).toContain(hostile)
    expect(await row(page, 'payload_not_json').locator('.payload').textContent()).toContain('\\u202e')
    await page.locator('#latest td', { hasText: hostile }).waitFor()
    expect(await page.locator('main img, main script, main iframe, main [onerror]').count()).toBe(0)
    expect(await page.title()).toBe('Sluice')
  })
})

describe('a page that stays open', () => {
  it('says so when the connection is lost, and goes on by itself when it is back', async () => {
    const server = await startServer()
    const { page, tolerate } = await openFresh(server)
    // A restart ends the session, and the page opens another one.
    tolerate(/^Failed to load resource: (net::ERR_|.* status of (401|503))/)
    const login = await createDevice(page, 'demo/my-device')
    const before = await connectDevice(server, login)
    await before.publishAsync('t/demo/my-device/telemetry', '{"temperature":20}', { qos: 1 })
    await page.locator('.track canvas').waitFor()

    await server.kill('SIGTERM')
    await page.locator('#lost').waitFor({ state: 'visible' })
    expect(await page.locator('#link-text').textContent()).toBe('Connection lost')

    const { folder, mqttPort, httpPort } = server
    const again = await startServer({ folder, mqttPort, httpPort })
    await page.locator('#lost').waitFor({ state: 'hidden' })
    const after = await connectDevice(again, login)
    await after.publishAsync('t/demo/my-device/telemetry', '{"temperature":33}', { qos: 1 })
    await page.locator('.track-value', { hasText: '33' }).waitFor()
  })

  it('shows what was stored before it was opened, and each stream of a device', async () => {
    const server = await startServer()
    const first = await openFresh(server)
    const login = await createDevice(first.page, 'demo/my-device')
    const device = await connectDevice(server, login)
    for (let i = 1; i <= 5; i += 1) {
      await device.publishAsync('t/demo/my-device/telemetry', JSON.stringify({ temperature: i }), { qos: 1 })
    }
    await device.publishAsync('t/demo/my-device/telemetry/power', '{"watts":60}', { qos: 1 })
    const earlier = JSON.stringify({ level: 7, ts: Date.now() - 20 * 60_000 })
    await device.publishAsync('t/demo/my-device/telemetry/tank', earlier, { qos: 1 })
    await first.page.locator('#stream option').nth(2).waitFor({ state: 'attached' })

    const { page } = await openFresh(server)
    await page.waitForSelector('[data-state="live"] .track canvas')
    await page.locator('#stream').selectOption('telemetry')
    await page.locator('.track-value', { hasText: /^5$/ }).waitFor()
    await page.locator('.track-aside', { hasText: '1 to 5' }).waitFor()
    await page.getByRole('radio', { name: '1 hour' }).check()
    await page.locator('#chart-note', { hasText: 'every 5 seconds' }).waitFor()
    await page.locator('.track-value', { hasText: /^5$/ }).waitFor()

    // What is older than the live minutes is shown with the hour, without being asked for.
    await page.getByRole('radio', { name: '5 min' }).check()
    await page.locator('#stream').selectOption('tank')
    await page.locator('.track-value', { hasText: /^7$/ }).waitFor()
    expect(await page.getByRole('radio', { name: '1 hour' }).isChecked()).toBe(true)
  })

  it('moves nothing when readings and refusals come in', async () => {
    const server = await startServer()
    const { page } = await openFresh(server)
    const login = await createDevice(page, 'demo/my-device')
    const device = await connectDevice(server, login)
    await device.publishAsync('t/demo/my-device/telemetry', '{"temperature":20}', { qos: 1 })
    await page.locator('.track canvas').waitFor()
    await row(page, 'never').waitFor({ state: 'detached' })
    await page.evaluate(`{
      window.shifts = 0
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value
      }).observe({ type: 'layout-shift' })
    }`)
    for (let i = 0; i < 20; i += 1) {
      await device.publishAsync('t/demo/my-device/telemetry', JSON.stringify({ temperature: i * 1000 }), { qos: 1 })
    }
    await device.publishAsync('t/demo/my-device/telemetry', '{nonsense', { qos: 1 })
    await page.locator('.track-value', { hasText: '19,000' }).waitFor()
    await row(page, 'payload_not_json').waitFor()
    expect(await page.evaluate('window.shifts')).toBeLessThan(0.01)
  })
})
