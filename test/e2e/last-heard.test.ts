import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../shared/api-client.ts'
import { PATIENCE } from '../patience.ts'
import { startServer } from './server.ts'

interface Answer {
  readonly connected: boolean
  readonly lastHeard: string | null
  readonly lastSeen: string | null
}

it('a device that sends nothing but PINGREQ is online and heard; one that is gone was heard last before it went', async () => {
  const server = await startServer()
  const api = new ApiClient(server)
  const { username, secret } = await api.post<{ username: string; secret: string }>('/v1/devices', {
    tenant: 'home',
    device: 'quiet',
  })
  const shown = () => api.get<Answer>('/v1/devices/home/quiet')
  expect(await shown()).toMatchObject({ connected: false, lastHeard: null })
  const client = await connectAsync(
    `mqtt://127.0.0.1:${server.mqttPort}`,
    { username, password: secret, keepalive: 1, reconnectPeriod: 0 },
    false,
  )
  onTestFinished(() => client.endAsync(true))
  const heardMs = async (): Promise<number> => Date.parse((await shown()).lastHeard ?? '')
  await vi.waitFor(async () => expect((await shown()).connected).toBe(true), PATIENCE)
  const first = await heardMs()
  await vi.waitFor(async () => expect(await heardMs()).toBeGreaterThan(first + 2_000), PATIENCE)
  const { devices } = await api.get<{ devices: Answer[] }>('/v1/devices?tenant=home')
  expect(devices).toMatchObject([{ connected: true, lastSeen: null }])
  client.stream.destroy()
  await vi.waitFor(async () => expect((await shown()).connected).toBe(false), PATIENCE)
  const last = await heardMs()
  expect(Date.now() - last).toBeLessThan(30_000)
  expect(last).toBeGreaterThan(first)
})
