import { expect, it, onTestFailed } from 'vitest'
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
