import { connect } from 'node:net'
import { once } from 'node:events'
import { expect, it, onTestFinished } from 'vitest'
import { startServer } from './server.ts'

/** What the ready line says of the listener, undefined where there is none. */
function opsPort(log: string): number | undefined {
  const line = log.split('\n').find((one) => one.includes('"msg":"ready"')) ?? '{}'
  return (JSON.parse(line) as { ops?: { port: number } }).ops?.port
}

it('probes have a listener of their own where it is asked for, and connections of clients do not fill it', async () => {
  const server = await startServer({ env: { OPS_PORT: '0', HTTP_CONNECTIONS_MAX: '10' } })
  const sockets = Array.from({ length: 10 }, () => connect(server.httpPort, '127.0.0.1'))
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  const url = `http://127.0.0.1:${opsPort(server.log())}`
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    expect({ path, status: (await fetch(url + path)).status }).toEqual({ path, status: 200 })
  }
  expect((await fetch(`${url}/v1/devices`)).status).toBe(404)
})

it('there is none otherwise', async () => {
  expect(opsPort((await startServer()).log())).toBeUndefined()
})
