import { connectAsync } from 'mqtt'
import { expect, it, onTestFailed, vi } from 'vitest'
import { ApiClient } from '../../../shared/api-client.ts'
import { lasting } from '../../long.ts'
import { makeAgain, notTheirs } from '../made-again.ts'
import { LIMIT_MS, useServers } from './harness.ts'

const DEVICES = lasting({ gate: 10, long: 100 })

const deployment = useServers()

it('a device that is made again has nothing of the one before, on whichever node', { timeout: LIMIT_MS }, async () => {
  onTestFailed(() => deployment.discard())
  const cluster = await deployment.clusterFor('made-again', { workers: 2, brokers: 2, apis: 1 })
  const { url, token } = cluster
  const mqttPorts = cluster.brokers.flatMap(({ ready }) => ready.mqtt?.port ?? [])
  const site = { api: new ApiClient({ url, token }), url, token, mqttPorts }
  const names = await makeAgain(site, `d${Date.now().toString(36)}-`, DEVICES)
  expect(await notTheirs(site, names)).toEqual([])
  // What it has stays with it under another name.
  const renamed = await Promise.all(
    names.map(async (device) => {
      const to = `${device}-renamed`
      await site.api.post(`/v1/devices/demo/${device}/rename`, { device: to })
      return to
    }),
  )
  expect(await notTheirs(site, renamed)).toEqual([])
})

it('a policy holds on every node for what comes after it', { timeout: LIMIT_MS }, async () => {
  onTestFailed(() => deployment.discard())
  const { url, token, brokers } = await deployment.clusterFor('made-again', { workers: 2, brokers: 2, apis: 1 })
  const api = new ApiClient({ url, token })
  const tenant = `p${Date.now().toString(36)}`
  const login = await api.post<{ username: string; secret: string }>('/v1/devices', { tenant, device: 'd' })
  const clients = await Promise.all(
    brokers.map(({ ready }) =>
      connectAsync({ port: ready.mqtt?.port ?? 0, username: login.username, password: login.secret }),
    ),
  )
  interface Latest {
    readonly streams: readonly { readonly fields: Readonly<Record<string, { readonly value: unknown }>> }[]
  }
  let sent = 0
  /** Until the newest value of each node's own field is of this kind; every message is acknowledged. */
  const untilAll = (kind: 'number' | 'string') =>
    vi.waitFor(
      async () => {
        sent += 1
        const payload = (node: number) => JSON.stringify({ [`node${node}`]: `${sent}` })
        await Promise.all(
          clients.map((one, node) => one.publishAsync(`t/${tenant}/d/telemetry`, payload(node), { qos: 1 })),
        )
        const { streams } = await api.get<Latest>(`/v1/devices/${tenant}/d/latest`)
        const values = Object.values(streams[0]?.fields ?? {})
        expect(values.map(({ value }) => typeof value)).toEqual(clients.map(() => kind))
      },
      { timeout: 60_000, interval: 200 },
    )
  await untilAll('string')
  await api.put(`/v1/policies?tenant=${tenant}`, { revision: 0, document: { quoted_numbers: 'number' } })
  await untilAll('number')
  await api.put(`/v1/policies?tenant=${tenant}`, { revision: 1, document: {} })
  await untilAll('string')
  await Promise.all(clients.map((one) => one.endAsync()))
})
