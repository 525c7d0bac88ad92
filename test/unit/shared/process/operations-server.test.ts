import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import { createMetrics } from '../../../../shared/process/metrics.ts'
import { startOperationsServer } from '../../../../shared/process/operations-server.ts'
import { Scrapers } from '../../../../shared/process/scrapers.ts'

interface Given {
  readonly token?: string
  readonly from?: readonly string[]
}

async function start({ token, from = [] }: Given = {}) {
  const server = await startOperationsServer({
    host: '127.0.0.1',
    port: 0,
    readiness: { ask: async () => ({ ready: true, checks: [] }) },
    metrics: createMetrics({ defaults: false }),
    scrapers: new Scrapers({ METRICS_TOKEN: token, METRICS_FROM: from }),
  })
  onTestFinished(() => server.close())
  return async (headers: Record<string, string> = {}, path = '/metrics') => {
    const asked = request({ host: '127.0.0.1', port: server.port, path, headers, agent: false }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    return { status: response.statusCode, headers: response.headers, body: await text(response) }
  }
}

it('while nothing is set this machine reads metrics, but no proxy that tells of itself, and no page of another name', async () => {
  const ask = await start()
  expect(await ask()).toMatchObject({ status: 200, body: expect.stringContaining('sluice_build_info') as string })
  for (const host of ['localhost', 'localhost:8081', '[::1]:8081']) expect((await ask({ host })).status).toBe(200)
  for (const host of ['evil.example', 'localhost.evil.example:8081', '10.0.0.1']) {
    expect((await ask({ host })).status, host).toBe(401)
  }
  for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip']) {
    expect((await ask({ [name]: '127.0.0.1' })).status, name).toBe(401)
  }
})

it('a token is asked for once there is one, and the refusal says what to do', async () => {
  const ask = await start({ token: 'secret' })
  const refused = await ask()
  expect(refused).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="sluice"' } })
  expect(JSON.parse(refused.body)).toMatchObject({
    code: 'metrics_refused',
    fix: expect.stringContaining('METRICS_FROM') as string,
  })
  expect((await ask({ authorization: 'Bearer secret' })).status).toBe(200)
  expect((await ask({ authorization: 'Bearer other' })).status).toBe(401)
  for (const path of ['/healthz', '/readyz']) expect((await ask({}, path)).status, path).toBe(200)
})

it('of named addresses those alone need no token', async () => {
  expect((await (await start({ from: ['192.0.2.0/24'] }))()).status).toBe(401)
  const ask = await start({ token: 'secret', from: ['127.0.0.0/8'] })
  expect((await ask()).status).toBe(200)
  expect((await ask({ 'x-forwarded-for': '127.0.0.1' })).status).toBe(401)
})

it('another host never reads without a token, whatever it says of itself', () => {
  const scrapers = new Scrapers({ METRICS_TOKEN: undefined, METRICS_FROM: [] })
  const local = { isHandedOn: false, headers: { host: 'localhost:8081', authorization: 'Bearer undefined' } }
  expect(scrapers.mayReadLocally({ ...local, address: '::ffff:127.0.0.1' })).toBe(true)
  for (const address of ['10.0.0.1', '::2', '', 'localhost.example']) {
    expect(scrapers.mayReadLocally({ ...local, address }), address).toBe(false)
  }
})
