import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import mqtt from 'mqtt'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  answersTo,
  differences,
  questions,
  untilAnswered,
  type Answers,
  type Difference,
} from '../../../load-tests/upgrade/answers.ts'
import { makeLogins, sendHistory, sendRecent, telemetryTopic, type Login } from '../../../load-tests/upgrade/fill.ts'
import { MILLION } from '../../../load-tests/upgrade/history.ts'
import type { Target } from '../../../load-tests/upgrade/target.ts'
import { Cluster } from '../../../load-tests/cluster/cluster.ts'
import { unwanted } from '../upgrade/on-purpose.ts'
import { useServers } from './harness.ts'

const older = process.env['SLUICE_OLD_CHECKOUT']
const RATE_MS = 20
const SETTLED_MS = 3_000
/** Times of their own: what is sent again after a broken connection is the same point. */
const SENT_FROM = Date.parse('2026-01-01T00:00:00Z')

const targetOf = (cluster: Cluster): Target => {
  return {
    url: cluster.url,
    token: cluster.token,
    mqttPorts: cluster.brokers.map(({ ready }) => ready.mqtt?.port ?? 0),
  }
}

/** A device that goes on sending, on one broker, whatever becomes of it; of each reading a number that counts up. */
async function sendOn(target: Target, { username, secret }: Login, broker: number, stream: string) {
  const port = target.mqttPorts[broker] ?? 0
  const options = { username, password: secret, clientId: `${username}-${stream}`, clean: false, reconnectPeriod: 200 }
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, options)
  onTestFinished(() => client.endAsync(true))
  const [tenant = '', device = ''] = username.split('/')
  const acked: number[] = []
  let [isOver, n] = [false, 0]
  const sending = (async () => {
    while (!isOver) {
      const own = ++n
      // At QoS 1 MQTT.js keeps it over connections until it is acknowledged.
      client.publish(
        telemetryTopic(tenant, device, stream),
        JSON.stringify({ ts: SENT_FROM + own, n: own }),
        { qos: 1 },
        (error) => {
          if (error === undefined || error === null) acked.push(own)
        },
      )
      await delay(RATE_MS)
    }
  })()
  const stop = async (): Promise<readonly number[]> => {
    isOver = true
    await sending
    await expect.poll(() => acked.length, { timeout: 60_000 }).toBe(n)
    return acked
  }
  return { stop, acked, path: `/v1/devices/${username}/readings?field=n&stream=${stream}&epoch=ns` }
}

/** How many of them are stored. */
async function storedOf(target: Target, path: string): Promise<number> {
  const { [path]: answer } = await answersTo(target, [path])
  const { series = [] } = answer as { series?: readonly { count?: number; points?: readonly unknown[] }[] }
  return series[0]?.count ?? series[0]?.points?.length ?? 0
}

/** When a login was last used is written some time later. */
function changed(before: Answers, now: Answers): Difference[] {
  return differences(before, now).filter(({ at }) => at !== 'credentials.*.lastUsed')
}

/** The answers when they do not change any more: workers, latest states and letters have caught up. */
async function settled(target: Target, paths: readonly string[]): Promise<Answers> {
  let before = await answersTo(target, paths)
  for (let tries = 0; tries < 30; tries++) {
    await delay(SETTLED_MS)
    const now = await answersTo(target, paths)
    if (changed(before, now).length === 0) return now
    before = now
  }
  throw new Error('the answers go on changing')
}

// Order of an upgrade: workers, API, brokers.
describe.skipIf(older === undefined)(
  'a cluster of an older version (SLUICE_OLD_CHECKOUT=its folder, with node_modules)',
  () => {
    const deployment = useServers()

    it('is replaced process by process under load: every answer as before, nothing lost', async () => {
      const folder = join(deployment.folder, 'services')
      const plan = { folder, env: deployment.servers.env, workers: 2, brokers: 2, checkout: resolve(older ?? '') }
      const cluster = new Cluster(plan)
      onTestFinished(() => cluster.close())
      await cluster.start()
      const logins = await makeLogins(targetOf(cluster))
      await sendHistory(targetOf(cluster), logins, MILLION)
      await sendRecent(targetOf(cluster), logins)
      const senders = await Promise.all(
        ['north/pump-1', 'north/pump-2'].map((name, i) => {
          const login = logins[name]
          if (login === undefined) throw new Error(`no login ${name}`)
          return sendOn(targetOf(cluster), login, i, `upgrade_${i}`)
        }),
      )
      // Devices that go on sending are not what is compared.
      const paths = questions().filter(
        (path) => !/audit|\/v1\/devices\?|latest|\/v1\/devices\/north\/pump-[12]$/.test(path),
      )
      for (const device of ['pump-1', 'pump-2']) {
        const path = `/v1/devices/north/${device}/readings?stream=texts_2`
        await untilAnswered(targetOf(cluster), path, (answer) => JSON.stringify(answer).includes('leer'))
      }
      const before = await settled(targetOf(cluster), paths)
      for (const member of [...cluster.workers, ...cluster.apis, ...cluster.brokers]) {
        const counted = senders.map(({ acked }) => acked.length)
        await member.replace()
        await expect
          .poll(() => senders.every(({ acked }, i) => acked.length > (counted[i] ?? 0) + 100), { timeout: 120_000 })
          .toBe(true)
        const now = await answersTo(targetOf(cluster), paths)
        expect([member.name, unwanted(changed(before, now))]).toEqual([member.name, []])
        process.stdout.write(
          `${member.name} replaced; acknowledged ${senders.map(({ acked }) => acked.length).join(' + ')}\n`,
        )
      }
      for (const { stop, path } of senders) {
        const acked = await stop()
        await expect.poll(() => storedOf(targetOf(cluster), path), { timeout: 60_000 }).toBe(acked.length)
        process.stdout.write(`${path}: all ${acked.length} that were acknowledged are stored once\n`)
      }
    })
  },
)
