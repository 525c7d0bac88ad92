import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { findCommand, installPackages } from '../../../load-tests/servers/tools.ts'
import { startComposeHaproxy, startHaproxy } from '../../../load-tests/servers/haproxy.ts'
import { tempFolder } from '../../helpers.ts'
import { PATIENCE } from '../../patience.ts'

const SAMPLE = new URL('../../../config/haproxy/haproxy.cfg', import.meta.url).pathname
const COMPOSE = new URL('../../../config/haproxy/compose.cfg', import.meta.url).pathname
/** How a connection begins that PROXY protocol 2 announces. */
const PROXY_V2 = '0d0a0d0a000d0a515549540a'

async function listening(server: Server, address = '127.0.0.1', port = 0): Promise<number> {
  server.listen(port, address)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** The DNS of Docker: a name has the addresses of its containers, which come and go. */
async function dockerDns(containers: Record<string, readonly string[]>): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (query, from) => {
    const labels: string[] = []
    let at = 12
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const question = query.subarray(12, at + 5)
    const isA = query.readUInt16BE(at + 1) === 1
    const addresses = isA ? (containers[labels.join('.')] ?? []) : []
    const head = Buffer.from(query.subarray(0, 12))
    // An answer without an error, to one question, and no further records.
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt16BE(addresses.length, 6)
    head.writeUInt32BE(0, 8)
    const answers = addresses.map((address) =>
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split('.').map(Number)]),
    )
    socket.send(Buffer.concat([head, question, ...answers]), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => void socket.close())
  return socket.address().port
}

it.each([SAMPLE, COMPOSE])('%s passes the check that the docs print, wherever it is run', async (file) => {
  await installPackages([{ command: 'haproxy', package: 'haproxy', why: 'HAProxy, before several brokers' }])
  const check = promisify(execFile)(findCommand('haproxy') ?? 'haproxy', ['-c', '-f', file])
  expect((await check).stdout).toContain('Configuration file is valid')
})

it('it starts although the names of two brokers are nobody’s, hands on to the third, and shows its figures', async () => {
  const operations = await listening(createHttpServer((_request, response) => response.end('{}')))
  const mqtt = await listening(createServer((socket) => socket.once('data', (first) => socket.end(first))))
  const haproxy = await startHaproxy(tempFolder(), [{ mqtt, tls: mqtt, operations }])
  onTestFinished(() => haproxy.stop())
  await expect.poll(() => haproxy.usable(), PATIENCE).toEqual([true])
  const client = connect(haproxy.mqtt, '127.0.0.1')
  client.write('x')
  const [first] = (await once(client, 'data')) as [Buffer]
  expect(first.subarray(0, 12).toString('hex')).toBe(PROXY_V2)
  const figures = await fetch(`http://127.0.0.1:${haproxy.stats}/metrics`)
  expect(await figures.text()).toContain('haproxy_backend_active_servers{proxy="brokers"} 1')
})

it('that of Compose hands on to as many brokers as Docker knows, and says whose the connections are', async () => {
  const containers: Record<string, readonly string[]> = { broker: [], 'query-api': [] }
  const [first, second] = ['127.0.0.2', '127.0.0.3']
  const operations = await listening(
    createHttpServer((_request, response) => response.end('{}')),
    first,
  )
  await listening(
    createHttpServer((_request, response) => response.end('{}')),
    second,
    operations,
  )
  const broker = (address: string) =>
    createServer((socket) => {
      // A check of HAProxy comes without a byte, or not at all.
      socket.once('data', (header: Buffer) => socket.end(`${address} ${header.subarray(0, 12).toString('hex')}`))
      socket.on('error', () => socket.destroy())
    })
  const mqtt = await listening(broker(first), first)
  await listening(broker(second), second, mqtt)
  const api = createHttpServer(({ headers }, response) => response.end(headers['x-forwarded-for']))
  const http = await listening(api, first)
  const haproxy = await startComposeHaproxy(tempFolder(), { dns: await dockerDns(containers), mqtt, http, operations })
  onTestFinished(() => haproxy.stop())
  const health = async () => (await fetch(`http://127.0.0.1:${haproxy.health}/healthz`)).status
  expect(await health()).toBe(503)
  const answer = async (): Promise<string> => {
    const client = connect(haproxy.mqtt, '127.0.0.1')
    client.on('error', () => client.destroy())
    client.write('x')
    return text(client).catch(() => '')
  }
  const answers = async (count: number) => new Set(await Promise.all(Array.from({ length: count }, answer)))
  containers['broker'] = [first]
  containers['query-api'] = [first]
  await expect.poll(health, PATIENCE).toBe(200)
  expect(await answers(4)).toEqual(new Set([`${first} ${PROXY_V2}`]))
  containers['broker'] = [first, second]
  await expect.poll(() => answers(8), PATIENCE).toEqual(new Set([`${first} ${PROXY_V2}`, `${second} ${PROXY_V2}`]))
  containers['broker'] = [second]
  await expect.poll(() => answers(8), PATIENCE).toEqual(new Set([`${second} ${PROXY_V2}`]))
  const asked = await fetch(`http://127.0.0.1:${haproxy.http}/`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
  expect(await asked.text()).toBe('127.0.0.1')
})
