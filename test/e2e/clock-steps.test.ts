import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { startServer, type Server } from './server.ts'

const HOUR = 3_600_000
const YEARS = 10 * 365 * 24 * HOUR
const entry = 'test/variants/standalone-with-set-clock.ts'

/** A Sluice whose clock is set, and one device that sends readings without a time. */
class Stage {
  readonly #clockFile = join(tempFolder(), 'clock')
  readonly folder = tempFolder()
  #server: Server | undefined
  #device: { username: string; secret: string } | undefined
  #ahead = 0
  /** When each reading was sent, and when acknowledged, by the clock of the server. */
  readonly sent: { readonly from: number; readonly to: number }[] = []

  set(ahead: number): void {
    this.#ahead = ahead
    writeFileSync(this.#clockFile, String(ahead))
  }

  get server(): Server {
    if (this.#server === undefined) throw new Error('not started')
    return this.#server
  }

  async start(): Promise<void> {
    this.set(this.#ahead)
    this.#server = await startServer({ entry, folder: this.folder, env: { TEST_CLOCK_FILE: this.#clockFile } })
  }

  async call<T>(path: string, init: RequestInit = {}): Promise<T> {
    const headers = { authorization: `Bearer ${this.server.token}`, 'content-type': 'application/json' }
    return (await fetch(`${this.server.url}${path}`, { headers, ...init })).json() as Promise<T>
  }

  /** Sends readings a second apart, the next one when the one before is acknowledged. */
  async send(count: number): Promise<void> {
    const body = JSON.stringify({ tenant: 'demo', device: 'clock' })
    this.#device ??= await this.call<{ username: string; secret: string }>('/v1/devices', { method: 'POST', body })
    const { username, secret: password } = this.#device
    const client = await connectAsync(`mqtt://127.0.0.1:${this.server.mqttPort}`, { username, password })
    for (let n = 0; n < count; n++) {
      await delay(1_000)
      const from = Date.now() + this.#ahead
      await client.publishAsync(`t/demo/clock/telemetry`, `{"v":${this.sent.length + 1}}`, { qos: 1 })
      this.sent.push({ from, to: Date.now() + this.#ahead })
    }
    await client.endAsync()
  }

  /** How far from the time in which it was on its way each reading is stored, in seconds, in the order of sending. */
  async errors(): Promise<number[]> {
    for (;;) {
      const query = `field=v&from=0&to=${Date.now() + 2 * YEARS}&epoch=ms`
      const answer = await this.call<{ series?: { points: [number, number][] }[] }>(
        `/v1/devices/demo/clock/readings?${query}`,
      )
      const times = new Map((answer.series?.[0]?.points ?? []).map(([time, value]) => [value, time]))
      if (times.size === this.sent.length) {
        return this.sent.map(({ from, to }, index) => {
          const time = times.get(index + 1) ?? 0
          return Math.round((time - Math.min(Math.max(time, from), to)) / 1_000)
        })
      }
      await delay(200)
    }
  }
}

describe('readings without a time, while the clock of the server is wrong', () => {
  it('are a second apart at the right time once it is right again, before and after restarts', async () => {
    const stage = new Stage()
    await stage.start()
    await stage.send(1)
    stage.set(YEARS)
    await stage.send(1)
    stage.set(0)
    await stage.send(2)
    expect(await stage.errors()).toEqual([0, 0, 0, 0])
    type Letters = { deadLetters: { stage: string; code: string; detail: string }[] }
    const { deadLetters } = await stage.call<Letters>('/v1/dead-letters')
    expect(deadLetters).toMatchObject([{ stage: 'clock', code: 'clock_stepped' }])
    const { checks } = await stage.call<{ checks: { name: string; detail?: string }[] }>('/readyz')
    expect(checks.find(({ name }) => name === 'clock')?.detail).toBe(deadLetters[0]?.detail)
    await stage.server.kill('SIGKILL')
    await stage.start()
    await stage.send(1)
    await stage.server.kill('SIGTERM')
    stage.set(-2 * HOUR)
    await stage.start()
    await stage.send(2)
    expect(await stage.errors()).toEqual([0, 0, 0, 0, 0, 0, 0])
    expect((await stage.call<Letters>('/v1/dead-letters')).deadLetters).toHaveLength(2)
  })
})
