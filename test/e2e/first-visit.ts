import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import type { Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { openPage, type Visit } from './chromium.ts'
import type { Server } from './server.ts'

export interface Login {
  readonly username: string
  readonly secret: string
}

/** The page, opened with the address that the server prints. */
export async function openFresh(server: Server): Promise<Visit> {
  const visit = await openPage(server.url)
  await visit.page.goto(`${server.url}/#token=${server.token}`)
  await visit.page.waitForSelector('[data-state="waiting"], [data-state="live"]')
  await visit.page.waitForSelector('[data-link="open"]')
  return visit
}

/** Makes a device the way a person does, on the page. */
export async function createDevice(page: Page, name: string): Promise<Login & { token: string }> {
  await page.fill('#name', name)
  await page.click('#create button')
  await page.waitForSelector('#credentials code')
  const [username = '', secret = '', token = ''] = await page.locator('#credentials code').allTextContents()
  return { username, secret, token }
}

/** A client of that device, closed at the end of the test. Rejects when the broker refuses it. */
export async function connectDevice(server: Server, login: Login, options: IClientOptions = {}): Promise<MqttClient> {
  const { username, secret: password } = login
  const client = await connectAsync(
    `mqtt://127.0.0.1:${server.mqttPort}`,
    { username, password, reconnectPeriod: 0, ...options },
    false,
  )
  onTestFinished(() => client.endAsync(true))
  return client
}
