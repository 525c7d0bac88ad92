import { execFile } from 'node:child_process'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { findCommand, installPackages } from '../../../load-tests/servers/tools.ts'
import { startHaproxy } from '../../../load-tests/servers/haproxy.ts'
import { tempFolder } from '../../helpers.ts'
import { PATIENCE } from '../../patience.ts'

const SAMPLE = new URL('../../../config/haproxy/haproxy.cfg', import.meta.url).pathname
/** How a connection begins that PROXY protocol 2 announces. */
const PROXY_V2 = '0d0a0d0a000d0a515549540a'

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

it('the sample passes the check that the docs print, wherever it is run', async () => {
  await installPackages([{ command: 'haproxy', package: 'haproxy', why: 'HAProxy, before several brokers' }])
  const check = promisify(execFile)(findCommand('haproxy') ?? 'haproxy', ['-c', '-f', SAMPLE])
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
