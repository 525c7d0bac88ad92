import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { MqttClient } from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import { createMetrics } from '../../../shared/process/metrics.ts'
import type { NewCredentials } from '../../../shared/registry/names.ts'
import { openSqliteRegistry } from '../../../shared/registry/sqlite/open.ts'
import { EVERYTHING, quiet } from '../../broker-harness.ts'
import { createDevice } from '../../contract/registry-harness.ts'
import { tempFolder } from '../../helpers.ts'
import { startBrokerOn } from './identity-broker.ts'
import { PATIENCE } from '../../patience.ts'
import { hasMosquitto } from './listener-clients.ts'

const run = promisify(execFile)
const TOPIC = 't/acme/p1/telemetry'
const DAY_MS = 86_400_000

async function start() {
  const file = join(tempFolder(), 'registry.db')
  const metrics = createMetrics({ defaults: false })
  const registry = await openSqliteRegistry({ file, credentialKey: Buffer.alloc(32, 1), logger: quiet, metrics })
  onTestFinished(() => registry.close())
  const broker = await startBrokerOn(registry)
  /** True when the broker lets it in and acknowledges. */
  const mosquittoPub = async (...login: string[]): Promise<boolean> => {
    const address = ['-h', '127.0.0.1', '-p', String(broker.port), '-V', 'mqttv311', '-q', '1']
    try {
      await run('mosquitto_pub', [...address, ...login, '-t', TOPIC, '-m', '{"x":1}'], PATIENCE)
      return true
    } catch (error) {
      expect(String((error as { stderr: unknown }).stderr)).toMatch(
        /not authori[sz]ed|bad user name|Connection Refused/i,
      )
      return false
    }
  }
  const bySecret = ({ username, secret }: NewCredentials) => mosquittoPub('-u', username, '-P', secret)
  const byToken = ({ token }: NewCredentials) => mosquittoPub('-u', token)
  return { registry, ...broker, mosquittoPub, bySecret, byToken }
}

/** What a new subscription is given at once. */
async function retained(client: MqttClient, topic: string): Promise<string[]> {
  const heard: string[] = []
  const end = Promise.withResolvers<void>()
  const listen = (from: string, payload: Buffer): void => {
    if (from === 'end') end.resolve()
    else heard.push(payload.toString())
  }
  client.on('message', listen)
  await client.subscribeAsync(['end', topic], { qos: 1 })
  await client.publishAsync('end', '', { qos: 1 })
  await end.promise
  client.off('message', listen)
  await client.unsubscribeAsync(topic)
  return heard
}

it.skipIf(!hasMosquitto)('a rotation under load: the live client goes on, the old credential ends', async () => {
  const { registry, log, connect, bySecret, byToken } = await start()
  const old = await createDevice(registry, 'acme/p1')
  const live = await connect(old)
  const closed: string[] = []
  live.on('close', () => closed.push('close'))
  let published = 0
  let isRunning = true
  const load = (async () => {
    while (isRunning) {
      await live.publishAsync(TOPIC, `{"n":${published}}`, { qos: 1 })
      published += 1
    }
  })()
  const next = await registry.credentials.rotate('acme/p1', DAY_MS)
  expect(await bySecret(old)).toBe(true)
  expect(await byToken(next)).toBe(true)
  expect(await bySecret(old)).toBe(false)
  expect(await byToken(old)).toBe(false)
  expect(await bySecret(next)).toBe(true)
  const before = published
  await expect.poll(() => published).toBeGreaterThan(before + 100)
  isRunning = false
  await load
  expect(closed).toEqual([])
  expect(log.records.filter(({ value }) => Buffer.from(value).includes('"n"'))).toHaveLength(published)
})

it.skipIf(!hasMosquitto)('a device that is made after its login failed is let in at once', async () => {
  const { registry, mosquittoPub, bySecret } = await start()
  for (let index = 0; index < 3; index += 1) expect(await mosquittoPub('-u', 'acme/p1', '-P', 'guess')).toBe(false)
  const made = await createDevice(registry, 'acme/p1')
  expect(await bySecret(made)).toBe(true)
  await registry.credentials.setDisabled('acme/p1', true)
  expect(await bySecret(made)).toBe(false)
  await registry.credentials.setDisabled('acme/p1', false)
  expect(await bySecret(made)).toBe(true)
})

it.each(['disable', 'revoke', 'remove'] as const)(
  '%s closes the live session and takes what is kept with it',
  async (how) => {
    const { registry, connect } = await start()
    const app = await connect(await registry.createApplication('app', EVERYTHING))
    const session = { clientId: 'c', clean: false }
    const will = { topic: 't/acme/p1/status', payload: Buffer.from('gone'), qos: 1 as const, retain: true }
    const device = await connect(await createDevice(registry, 'acme/p1'), { ...session, will })
    await device.subscribeAsync('t/acme/p1/cmd/#', { qos: 1 })
    await device.publishAsync('t/acme/p1/status', 'online', { qos: 1, retain: true })
    expect(await retained(app, 't/acme/p1/status')).toEqual(['online'])
    const closed = new Promise<void>((resolve) => device.once('close', () => resolve()))
    if (how === 'remove') await registry.removeDevice('acme', 'p1')
    else if (how === 'revoke') await registry.credentials.revoke('acme/p1')
    else await registry.credentials.setDisabled('acme/p1', true)
    await closed
    await app.publishAsync('t/acme/p1/cmd/reboot', 'now', { qos: 1 })
    if (how === 'remove') await createDevice(registry, 'acme/p1')
    else await registry.credentials.setDisabled('acme/p1', false)
    const back = await registry.credentials.rotate('acme/p1', 0)
    // Retained messages come before what is published after the subscription.
    await expect.poll(() => retained(app, 't/acme/p1/status')).toEqual([])
    const heard: string[] = []
    const again = await connect(back, session)
    again.on('message', (topic) => heard.push(topic))
    await again.subscribeAsync('t/acme/p1/cmd/#', { qos: 1 })
    await app.publishAsync('t/acme/p1/cmd/first', '1', { qos: 1 })
    await expect.poll(() => heard.at(-1)).toBe('t/acme/p1/cmd/first')
    expect(heard).not.toContain('t/acme/p1/cmd/reboot')
  },
)
