import { connectAsync } from 'mqtt'
import { expect, it, vi } from 'vitest'
import { PATIENCE } from '../patience.ts'
import { startServer, type Server, type ServerOptions } from './server.ts'

const T = 1_767_225_600_000
const path = '/v1/devices/demo/one'
/** Gives the number of a message as a field of this name. */
const codec = (field: string) =>
  `function Decoder(bytes) { var n = bytes[0] * 256 + bytes[1]; return { ts: ${T} + n * 1000, ${field}: n } }`

async function ask<A>({ url, token }: Server, method: string, to: string, body?: object): Promise<A> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const response = await fetch(`${url}${to}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  expect(response.status, to).toBeLessThan(300)
  return (await response.json()) as A
}

/** `{field}{number}` of all that is stored. */
async function stored(server: Server): Promise<string[]> {
  const { series } = await ask<{ series: { field: string; points: [number, number][] }[] }>(
    server,
    'GET',
    `${path}/readings?from=${T}&limit=10000`,
  )
  return series.flatMap(({ field, points }) => points.map(([ms, n]) => `${field}${n}@${(ms - T) / 1000}`)).sort()
}

async function check(entry: Pick<ServerOptions, 'entry'> = {}): Promise<void> {
  // Little is committed before the kill: the new process decodes the rest again.
  const env = { INGEST_CHECKPOINT_MS: '5000' }
  const server = await startServer({ env, ...entry })
  const upload = (field: string) =>
    ask(server, 'PUT', '/v1/uploaded-decoders/door?tenant=demo', { kind: 'codec', content: codec(field) })
  const device = { tenant: 'demo', device: 'one' }
  const login = await ask<{ username: string; secret: string }>(server, 'POST', '/v1/devices', device)
  await upload('a')
  await ask(server, 'PUT', '/v1/policies?tenant=demo', { revision: 0, document: { decoder: 'codec:door' } })
  const client = await connectAsync(`mqtt://127.0.0.1:${server.mqttPort}`, {
    username: login.username,
    password: login.secret,
    reconnectPeriod: 0,
  })
  const acked: number[] = []
  let sent = 0
  const send = async (count: number) => {
    const some = Array.from({ length: count }, () => sent++)
    const each = some.map(async (n) => {
      await client.publishAsync('t/demo/one/telemetry', Buffer.of(n >> 8, n & 255), { qos: 1 })
      acked.push(n)
    })
    await Promise.allSettled(each)
  }
  await send(500)
  const before = acked.length
  await upload('b')
  await vi.waitUntil(async () => (await stored(server)).length >= before, PATIENCE)
  const seen = await stored(server)
  client.on('error', () => undefined)
  const last = send(2_000)
  await vi.waitUntil(() => acked.length >= before + 200, { ...PATIENCE, interval: 1 })
  await server.kill('SIGKILL')
  await client.endAsync(true)
  await last
  const again = await startServer({ folder: server.folder, ...entry })
  const numbers = (all: readonly string[]) => new Set(all.map((one) => Number(one.split('@')[1])))
  const missing = (all: readonly string[]) => acked.filter((n) => !numbers(all).has(n)).length
  await vi.waitUntil(async () => missing(await stored(again)) === 0, PATIENCE)
  const after = await stored(again)
  expect(after).toEqual(expect.arrayContaining(seen))
  expect(numbers(after).size).toBe(after.length)
  expect(after.filter((one) => one.startsWith('a') && Number(one.split('@')[1]) < before)).toHaveLength(before)
}

it('a kill changes nothing of what codecs made of messages, nor does one that came in force meanwhile', () => check())

it('would change it, if records were decoded by what was uploaded last (known wrong)', async () => {
  await expect(check({ entry: 'test/variants/standalone-newest-codec.ts' })).rejects.toThrow('expected')
})
