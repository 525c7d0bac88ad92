import { setTimeout as delay } from 'node:timers/promises'
import { connectAsync } from 'mqtt'
import { expect, it, onTestFailed, onTestFinished, vi } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import type { Cluster } from '../../../load-tests/cluster/cluster.ts'
import { lasting } from '../../long.ts'
import { randomFrom } from '../kill-in-mid-load.ts'
import { LIMIT_MS, useServers } from './harness.ts'

const DEVICES = 100
/** Kills of all workers, one of them at a given place. */
const ROUNDS = lasting({ gate: 2, long: 40 })
const EVERY_MS = 50
const deployment = useServers()

/** Where a worker is killed that takes in what a gateway sends, and hands it on, or stores it. */
const PLACES = ['after-hand-on', 'before-commit', 'before-write', 'between-stores'] as const

async function gatewayOf(cluster: Cluster, tenant: string) {
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const devices = Array.from({ length: DEVICES }, (_, n) => `d${n}`)
  await api.post('/v1/devices/bulk', { devices: devices.map((device) => ({ tenant, device })) })
  const { username, secret } = await api.post<{ username: string; secret: string }>('/v1/applications', {
    name: `${tenant}-gateway`,
    rules: [{ effect: 'allow', action: 'publish', topic: `t/${tenant}/+/telemetry` }],
  })
  const client = await connectAsync({ port: cluster.broker.ready.mqtt?.port ?? 0, username, password: secret })
  onTestFinished(() => client.endAsync(true))
  return { api, client, devices }
}

it(
  'messages of a gateway for 100 devices outlive kill -9 of workers, once and in order',
  { timeout: LIMIT_MS },
  async () => {
    onTestFailed(() => deployment.discard())
    const cluster = await deployment.clusterFor('gateway', { workers: 3, brokers: 1, apis: 1 })
    const tenant = `g${Date.now().toString(36)}`
    const { api, client, devices } = await gatewayOf(cluster, tenant)
    let isOver = false
    let sent = 0
    const sending = (async () => {
      while (!isOver) {
        // Without a time of their own: a reading that came twice would be there twice.
        const message = Object.fromEntries(devices.map((device) => [device, { v: sent }]))
        await client.publishAsync(`t/${tenant}/telemetry`, JSON.stringify(message), { qos: 1 })
        sent += 1
        await delay(EVERY_MS)
      }
    })()
    const random = randomFrom(1)
    const { workers } = cluster
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.all(workers.map((worker) => worker.stop('SIGKILL')))
      const place = PLACES[round % PLACES.length] ?? 'before-write'
      const command = ['test/variants/killed-worker.ts', place, String(1 + Math.floor(random() * 4))]
      // One of them comes to the place, maybe before it is ready; the others die wherever they are.
      await Promise.race(workers.map((worker) => Promise.allSettled([worker.start(command)]).then(() => worker.gone())))
      await Promise.all(workers.map((worker) => worker.stop('SIGKILL')))
      await Promise.all(workers.map((worker) => worker.start()))
    }
    isOver = true
    await sending
    const wanted = Array.from({ length: sent }, (_, n) => n)
    for (const device of devices) {
      await vi.waitFor(
        async () => {
          const path = `/v1/devices/${tenant}/${device}`
          const { series } = await api.get<{ series: { points: [string, number][] }[] }>(`${path}/readings`, {
            limit: 10_000,
          })
          expect(series[0]?.points.map(([, v]) => v)).toEqual(wanted)
          const { streams } = await api.get<{ streams: { fields: { v: { value: number } } }[] }>(`${path}/latest`)
          expect(streams[0]?.fields.v.value).toBe(sent - 1)
        },
        { timeout: 60_000, interval: 500 },
      )
    }
    expect((await api.get<{ deadLetters: unknown[] }>('/v1/dead-letters', { tenant })).deadLetters).toEqual([])
    console.log(
      `| gateway of ${DEVICES} devices | acked ${sent} messages | ${ROUNDS * workers.length * 2} kills of workers | 0 lost | 0 doubled |`,
    )
  },
)
