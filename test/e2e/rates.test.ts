import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import { startServer } from './server.ts'

it('what a device has used up over MQTT it has used up over HTTP, whoever posts for it', async () => {
  const server = await startServer({ env: { DEVICE_BYTES_PER_SECOND: '1', RATE_BURST_SECONDS: '1' } })
  const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' }
  const made = await fetch(`${server.url}/v1/devices`, { method: 'POST', headers, body: '{"tenant":"a","device":"b"}' })
  const { username, secret: password } = (await made.json()) as { username: string; secret: string }
  const post = (device: string) =>
    fetch(`${server.url}/v1/devices/a/${device}/readings`, { method: 'POST', headers, body: '{"a":1}' })
  const client = await connectAsync(`mqtt://127.0.0.1:${server.mqttPort}`, { username, password })
  onTestFinished(() => client.endAsync(true))
  // At a byte per second it is paid for in hours: no machine is slow enough.
  await client.publishAsync('t/a/b/telemetry', JSON.stringify({ text: 'x'.repeat(16_000) }), { qos: 1 })
  const answer = await post('b')
  expect({ status: answer.status, body: await answer.json() }).toMatchObject({
    status: 429,
    body: { code: 'rate_limited' },
  })
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(1_000)
  await fetch(`${server.url}/v1/devices`, { method: 'POST', headers, body: '{"tenant":"a","device":"c"}' })
  expect((await post('c')).status).toBe(202)
})
