import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { freePorts } from '../../../load-tests/servers/server-process.ts'
import { loadCompose, root } from './compose-file.ts'

const run = promisify(execFile)

/** A service that lives and is not ready. */
async function startUnready(): Promise<number> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/healthz' ? 200 : 503).end('{"checks":[{"name":"log","ok":false}]}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Runs the check of a container; resolves when it is healthy, and rejects when it is not. */
async function check(env: { OPS_PORT: number; HTTP_PORT: number }, ...args: string[]) {
  const script = join(root, 'config/compose/health-check.ts')
  const given = Object.fromEntries(Object.entries(env).map(([name, port]) => [name, String(port)]))
  await run(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...args], { env: given })
}

describe('the health check of the image', () => {
  it('finds a service that answers at either port healthy', async () => {
    const [port, [free = 0]] = [await startUnready(), await freePorts(1)]
    await check({ OPS_PORT: port, HTTP_PORT: free })
    await check({ OPS_PORT: free, HTTP_PORT: port })
  })

  it('finds one that answers at none unhealthy', async () => {
    const [first = 0, second = 0] = await freePorts(2)
    await expect(check({ OPS_PORT: first, HTTP_PORT: second })).rejects.toThrow('ECONNREFUSED')
  })

  it('asks in docker-compose.yml whether the service is ready, and says what is not', async () => {
    const { test = [] } = loadCompose().services['broker']?.healthcheck ?? {}
    expect(test.slice(-2)).toEqual(['config/compose/health-check.ts', '--ready'])
    const [port, [free = 0]] = [await startUnready(), await freePorts(1)]
    await expect(check({ OPS_PORT: port, HTTP_PORT: free }, '--ready')).rejects.toThrow('"name":"log","ok":false')
  })
})
