import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { tempFolder } from '../../../helpers.ts'
import { startLineProcess } from '../../../line-process.ts'
import { startRedis } from '../../../../load-tests/servers/redis.ts'
import { installPackages } from '../../../../load-tests/servers/tools.ts'
import { connectJs, gone } from '../../../mqtt/mqtt-js.ts'

beforeAll(() =>
  installPackages([{ command: 'mosquitto_sub', package: 'mosquitto-clients', why: 'clients that we did not write' }]),
)

/** A node as a process of its own, to be killed. */
async function startNode(url: string, id: string) {
  const node = startLineProcess([process.execPath, 'load-tests/brokers/broker-node.ts', url, id])
  const port = Number((await node.next(/^ready /)).split(' ')[1])
  return { ...node, port }
}

/** Mosquitto's subscriber with a persistent session; the lines that it prints. */
function subscribe(port: number, clientId: string, ...more: readonly string[]): { lines: string[]; stop(): void } {
  const login = ['-u', 'a/1', '-P', 's', '-i', clientId, '-c', '-q', '1', '-t', 't/a/1/cmd/#']
  const child = spawn('mosquitto_sub', ['-p', String(port), ...login, ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const stop = (): void => void child.kill('SIGKILL')
  onTestFinished(stop)
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  return { lines, stop }
}

it('kill -9 of the node that holds a session, while commands come in: after the reconnect all of them have arrived', async () => {
  const redis = await startRedis(tempFolder(), 'sessions')
  onTestFinished(() => redis.stop())
  const [one, two] = await Promise.all([startNode(redis.url, 'one'), startNode(redis.url, 'two')])
  const options = { clientId: 'p', clean: false }
  const device = await connectJs(one.port, { username: 'a/1', ...options })
  await device.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  const app = await connectJs(two.port, { username: 'app' })
  const all: string[] = []
  const got = new Set<string>()
  const note = (): void => device.messages.forEach((message) => got.add(message))
  for (let n = 0; n < 300; n += 1) {
    await app.client.publishAsync('t/a/1/cmd/x', String(n), { qos: 1 })
    all.push(`t/a/1/cmd/x ${n} 1`)
    if (n === 150) await one.kill()
  }
  note()
  const again = await connectJs(two.port, { username: 'a/1', ...options })
  await expect.poll(() => [...new Set([...got, ...again.messages])].sort()).toEqual(all.sort())
})

it('kill -9 of the node that publishes: what it has acknowledged arrives, with clients of Mosquitto', async () => {
  const redis = await startRedis(tempFolder(), 'sessions')
  onTestFinished(() => redis.stop())
  const [one, two] = await Promise.all([startNode(redis.url, 'one'), startNode(redis.url, 'two')])
  // Subscribed, and away again.
  const device = await connectJs(two.port, { username: 'a/1', clientId: 'm', clean: false })
  await device.client.subscribeAsync('t/a/1/cmd/#', { qos: 1 })
  await device.client.endAsync()
  const app = await connectJs(one.port, { username: 'app' })
  const sensor = await connectJs(one.port, { username: 'a/2' })
  const acked: string[] = []
  const publish = (from: number, to: number): void => {
    for (let n = from; n < to; n += 1) {
      app.client.publish('t/a/1/cmd/x', String(n), { qos: 1 }, (error) => {
        if (!error) acked.push(String(n))
      })
    }
  }
  publish(0, 200)
  await expect.poll(() => acked.length).toBe(200)
  // Redis takes nothing for a moment: what is published now is in the node alone when that is killed.
  process.kill(redis.process.pid ?? 0, 'SIGSTOP')
  publish(200, 250)
  for (let n = 0; n < 3; n += 1) await sensor.client.publishAsync('t/a/2/telemetry', '{"x":1}', { qos: 1 })
  // Nothing is acknowledged that is not stored.
  expect(acked.length).toBe(200)
  const closed = gone(app)
  await one.kill()
  await closed
  process.kill(redis.process.pid ?? 0, 'SIGCONT')
  const { lines } = subscribe(two.port, 'm')
  await expect.poll(() => acked.filter((n) => !lines.includes(n))).toEqual([])
})

it('quick reconnects over two nodes leave nothing behind', async () => {
  const storm = startLineProcess([process.execPath, 'load-tests/bench/reconnects.ts', '2400', '200'])
  const left = JSON.parse(await storm.next(/^\{/)) as { left: unknown }
  // It stops what it has started.
  await storm.ended()
  expect(left.left).toEqual({ connections: 0, aedes: 0, sessions: 0, redis: 0 })
})
