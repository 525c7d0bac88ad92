import { expect, it } from 'vitest'
import { connectJs, gone } from '../../../mqtt/mqtt-js.ts'
import { startNodes } from './nodes.ts'

it('Redis away: telemetry goes on, clean sessions are let in, persistent ones come again later; then all is as before', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const device = await connectJs(one.port, { username: 'a/1', clientId: 'p', clean: false })
  await device.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  const app = await connectJs(two.port, { username: 'app' })
  await app.client.subscribeAsync('house/#', { qos: 1 })
  await nodes.redis.process.stop('SIGKILL')
  await expect.poll(() => one.link.isUp || two.link.isUp).toBe(false)

  await device.client.publishAsync('t/a/1/telemetry', '{"x":1}', { qos: 1 })
  expect(one.log.records.length).toBe(1)
  const clean = await connectJs(one.port, { username: 'a/2', clientId: 'c' })
  await clean.client.publishAsync('t/a/2/telemetry', '{"x":2}', { qos: 1 })
  await clean.client.publishAsync('t/a/2/status', 'on', { qos: 1, retain: true })
  await expect(connectJs(one.port, { username: 'a/3', clientId: 'p', clean: false })).rejects.toThrow(
    'Server unavailable',
  )
  // What nobody could keep is not acknowledged.
  const loser = await connectJs(one.port, { username: 'app', clientId: 'loser' })
  const lost = gone(loser)
  loser.client.publish('house/door', 'open', { qos: 1 })
  await lost

  await nodes.redis.process.start()
  await expect.poll(() => one.link.isUp && two.link.isUp && nodes.link.isUp).toBe(true)
  await expect.poll(() => nodes.link.run((redis) => redis.hvals('sluice:sessions:a/2'))).toHaveLength(1)
  await app.client.subscribeAsync('t/a/+/status', { qos: 1 })
  await expect.poll(() => app.messages).toEqual(['t/a/2/status on 1 retained'])
  await app.client.publishAsync('t/a/1/cmd/x', 'again', { qos: 1 })
  await expect.poll(() => device.messages).toEqual(['t/a/1/cmd/x again 1'])
  const late = await connectJs(one.port, { username: 'a/3', clientId: 'p', clean: false })
  expect(late.client.connected).toBe(true)
  await late.client.publishAsync('t/a/3/status', 'here', { qos: 1 })
  await expect.poll(() => app.messages.at(-1)).toBe('t/a/3/status here 1')
  // A session that began without Redis ends with it.
  await clean.client.endAsync()
  await expect.poll(() => nodes.link.run((redis) => redis.exists('sluice:sessions:a/2'))).toBe(0)
  const held = await nodes.link.run((redis) => redis.smembers('sluice:clients:one'))
  expect(await one.metric('sluice_broker_cluster_sessions')).toBe(held.length)
})

it('what was sent to a persistent session while its node did not listen is handed out when it does again', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const device = await connectJs(one.port, { username: 'a/1', clientId: 'p', clean: false })
  await device.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  const app = await connectJs(two.port, { username: 'app' })
  // Redis cuts the connection on which node one listens: what comes until it is back is lost to it.
  const listeners = String(await nodes.link.run((redis) => redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub')))
  const [first] = [...listeners.matchAll(/^id=(\d+)/gm)].map((match) => Number(match[1])).sort((a, b) => a - b)
  await nodes.link.run((redis) => redis.call('CLIENT', 'KILL', 'ID', String(first)))
  const work = Array.from({ length: 20 }, (_, n) => app.client.publishAsync('t/a/1/cmd/x', String(n), { qos: 1 }))
  await Promise.all(work)
  expect(device.messages.length).toBeLessThan(20)
  const all = Array.from({ length: 20 }, (_, n) => `t/a/1/cmd/x ${n} 1`)
  await expect.poll(() => [...new Set(device.messages)].sort()).toEqual(all.sort())
})

it('a dead node: its wills are published once by another, those of logins that ended are not, its sessions are free', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const app = await connectJs(two.port, { username: 'app' })
  await app.client.subscribeAsync('t/+/+/status', { qos: 1 })
  const will = { topic: 't/a/1/status', payload: Buffer.from('gone'), qos: 1 as const, retain: false }
  await connectJs(one.port, { username: 'a/1', clientId: 'w', will })
  await connectJs(one.port, { username: 'a/3', clientId: 'r', will: { ...will, topic: 't/a/3/status' } })
  const persistent = await connectJs(one.port, { username: 'a/2', clientId: 'p', clean: false })
  await persistent.client.subscribeAsync('t/a/2/cmd/#', { qos: 1 })
  // To the others it is dead: it says nothing and hears nothing.
  await one.link.close()
  // Nobody tells: what the registry says when the will is due counts.
  nodes.registry.devices.delete('a/3')
  await app.client.publishAsync('t/a/2/cmd/x', 'kept', { qos: 1 })
  const again = await connectJs(two.port, { username: 'a/2', clientId: 'p', clean: false })
  await expect.poll(() => again.messages).toEqual(['t/a/2/cmd/x kept 1'])
  await expect.poll(() => app.messages, { timeout: 30_000 }).toEqual(['t/a/1/status gone 1'])
  await expect.poll(() => nodes.link.run((redis) => redis.smembers('sluice:nodes'))).toEqual(['two'])
  expect(await nodes.link.run((redis) => redis.exists('sluice:sessions:a/1', 'sluice:clients:one'))).toBe(0)
})

it('a node that was taken for dead holds nothing any more: its late will and its late writes change nothing', async () => {
  const nodes = await startNodes()
  const [one, two] = [await nodes.start('one'), await nodes.start('two')]
  const app = await connectJs(two.port, { username: 'app' })
  await app.client.subscribeAsync('t/+/+/status', { qos: 1 })
  const will = { topic: 't/a/1/status', payload: Buffer.from('late'), qos: 1 as const, retain: true }
  const zombie = await connectJs(one.port, { username: 'a/1', clientId: 'p', clean: false, will })
  // As if node one slept: another took the session meanwhile, with a later epoch.
  const epoch = await nodes.link.run((redis) => redis.incr('sluice:epoch'))
  await nodes.link.run((redis) => redis.hset('sluice:sessions:a/1', 'a/1/p', `${epoch} p two`))
  const closed = gone(zombie)
  zombie.client.subscribe('t/a/1/cmd/#', { qos: 1 }, () => undefined)
  await closed
  await app.client.publishAsync('t/a/9/status', 'after', { qos: 1 })
  await expect.poll(() => app.messages).toEqual(['t/a/9/status after 1'])
  expect(await nodes.link.run((redis) => redis.exists('sluice:subs:a/1/p', 'sluice:retained:t/a/1'))).toBe(0)
})
