import type { MqttClient } from 'mqtt'
import { describe, expect, it, vi } from 'vitest'
import { connectDevice, type Login } from './first-visit.ts'
import { lasting } from '../long.ts'
import { PATIENCE } from '../patience.ts'
import { canMount, smallDisk, type SmallDisk } from '../small-disk.ts'
import { metricOf, startServer, type Server, type ServerOptions } from './server.ts'

const MB = 1024 * 1024
const TOPIC = 't/demo/full/telemetry'
const PAD = 'x'.repeat(3_000)
/** Not acknowledged at once: less than what is taken of one client, behind which nothing but PINGs would be read. */
const WINDOW = 60
const SHED = 'sluice_broker_shed_total{kind="qos0",reason="node_full"}'

function ask({ url, token }: Server, method: string, path: string, body?: string): Promise<Response> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' }
  const headers = { authorization: `Bearer ${token}`, ...json }
  return fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) })
}

async function answer(server: Server, method: string, path: string, body?: string): Promise<[number, string]> {
  const response = await ask(server, method, path, body)
  const { code = '' } = (await response.json()) as { code?: string }
  return [response.status, code]
}

const addDevice = (server: Server, device: string) =>
  ask(server, 'POST', '/v1/devices', JSON.stringify({ tenant: 'demo', device }))

async function isFull({ url }: Server): Promise<boolean> {
  const { checks } = (await (await fetch(`${url}/readyz`)).json()) as { checks: { name: string; detail?: string }[] }
  return checks.some(({ name, detail }) => name === 'disk' && detail?.startsWith('disk_full') === true)
}

/** Sends readings numbered from 0 until it is stopped, over whatever connection it has; knows which were acknowledged. */
class Sender {
  readonly acked = new Set<number>()
  #next = 0
  #pending = 0
  #isStopped = false
  #wake = (): void => {}

  async run(client: MqttClient): Promise<void> {
    this.#isStopped = false
    client.once('close', () => this.stop())
    while (!this.#isStopped) {
      while (this.#pending < WINDOW && client.connected) this.#send(client)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  stop(): void {
    this.#isStopped = true
    this.#wake()
  }

  #send(client: MqttClient): void {
    const n = this.#next++
    this.#pending++
    const payload = JSON.stringify({ time: 1_700_000_000_000 + n, v: n, pad: PAD })
    client.publish(TOPIC, payload, { qos: 1 }, (error) => {
      this.#pending--
      if (error === undefined || error === null) this.acked.add(n)
      this.#wake()
    })
  }
}

/** Numbers that are acknowledged and not stored, once the worker has had its time. */
async function missing(server: Server, acked: ReadonlySet<number>): Promise<number[]> {
  let lost: number[] = []
  await vi.waitUntil(async () => {
    const found = new Set<number>()
    let cursor = ''
    do {
      const path = `/v1/devices/demo/full/readings?field=v&limit=10000&from=2023-01-01T00:00:00Z${cursor}`
      const page = (await (await ask(server, 'GET', path)).json()) as {
        series?: { points: [string, number][] }[]
        next?: string | null
      }
      for (const { points } of page.series ?? []) for (const [, value] of points) found.add(value)
      cursor = typeof page.next === 'string' ? `&cursor=${encodeURIComponent(page.next)}` : ''
    } while (cursor !== '')
    lost = [...acked].filter((n) => !found.has(n))
    return lost.length === 0
  }, PATIENCE)
  return lost
}

async function start(disk: SmallDisk, options: ServerOptions = {}): Promise<Server> {
  const at = { folder: `${disk.folder}/data`, seenAt: `${disk.seenAt}/data`, wrapper: disk.wrapper }
  return startServer({ ...at, ...options })
}

describe.skipIf(!canMount)('a disk that fills up (needs `unshare -rm`)', () => {
  it.for([{ megabytes: 24 }, { megabytes: 64 }])(
    'of $megabytes MB: nothing acknowledged is lost, everything says disk_full, and it goes on by itself',
    { timeout: 120_000 },
    async ({ megabytes }) => {
      const disk = await smallDisk(megabytes)
      disk.fill('neighbour', 6 * MB)
      let server = await start(disk)
      const login = (await (await addDevice(server, 'full')).json()) as Login
      const other = (await (await addDevice(server, 'stolen')).json()) as Login
      const sender = new Sender()
      let client: MqttClient = await connectDevice(server, login, { keepalive: 1 })
      void sender.run(client)
      await vi.waitUntil(() => isFull(server), PATIENCE)

      // The neighbour takes what was left, too.
      await vi.waitUntil(() => disk.free() > 0, PATIENCE)
      disk.fill('greedy')
      expect(disk.free()).toBe(0)
      const linesBefore = server.log().split('\n').length
      const ackedBefore = sender.acked.size
      expect(await answer(server, 'POST', '/v1/devices', '{"tenant":"demo","device":"new"}')).toEqual([
        503,
        'disk_full',
      ])
      expect(await answer(server, 'POST', '/v1/devices/demo/full/readings', '{"v":1}')).toEqual([503, 'disk_full'])
      expect((await ask(server, 'GET', '/v1/devices/demo/full/readings?field=v&limit=1')).status).toBe(200)
      const sensor = await connectDevice(server, other)
      sensor.publish('t/demo/stolen/telemetry', '{"qos0":1}', { qos: 0 })
      await vi.waitUntil(async () => (await metricOf(server, SHED)) > 0, PATIENCE)
      // Longer than the keepalive; in a long run longer than it takes until an outage sheds connections.
      await new Promise((resolve) => setTimeout(resolve, lasting({ gate: 3_000, long: 15_000 })))
      expect(client.connected).toBe(true)
      expect(sender.acked.size).toBe(ackedBefore)
      expect(server.log().split('\n').length - linesBefore).toBeLessThan(20)

      sender.stop()
      client.end(true)
      sensor.end(true)
      expect(await server.kill('SIGTERM'), server.log()).toBe(0)
      disk.remove('greedy')
      disk.fill('greedy', Math.max(0, disk.free() - MB))
      server = await start(disk)
      expect(await isFull(server)).toBe(true)
      expect((await ask(server, 'POST', '/v1/devices/demo/stolen/revoke')).status).toBeLessThan(300)
      await server.kill('SIGKILL')

      server = await start(disk)
      client = await connectDevice(server, login)
      void sender.run(client)
      disk.remove('greedy')
      disk.remove('neighbour')
      await vi.waitUntil(() => sender.acked.size > ackedBefore + WINDOW, PATIENCE)
      sender.stop()
      expect(await missing(server, sender.acked)).toEqual([])
      expect(await server.kill('SIGTERM')).toBe(0)
    },
  )
})
