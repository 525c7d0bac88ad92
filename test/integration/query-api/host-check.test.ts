import { expect, it } from 'vitest'
import { queryApiSettings } from '../../../config/query-api.ts'
import { loadConfig } from '../../../shared/config.ts'
import { openApi } from './api.ts'

const ask = async (env: Record<string, string>, host: string, url = '/healthz') => {
  const { app } = await openApi({ settings: loadConfig(queryApiSettings, env) })
  const { statusCode, payload } = await app.inject({ url, headers: { host } })
  return statusCode === 200 ? 'ok' : (JSON.parse(payload) as { code: string }).code
}

it.each(['localhost', 'LOCALHOST:8080', '127.0.0.1:8080', '[::1]:8080', '[::1]', 'sluice.localhost:1', 'localhost.'])(
  'a listener on loopback answers to %s',
  async (host) => expect(await ask({}, host)).toBe('ok'),
)

it.each(['evil.example', 'evil.example:8080', '127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1'])(
  'a listener on loopback does not answer to %s, neither with metrics nor with the page',
  async (host) => {
    for (const url of ['/healthz', '/metrics', '/docs/json']) expect(await ask({}, host, url)).toBe('host_refused')
  },
)

it('answers to the names of HTTP_HOSTS, and to any where others reach it', async () => {
  expect(await ask({ HTTP_HOSTS: 'sluice.example, other' }, 'Sluice.Example:443')).toBe('ok')
  expect(await ask({ HTTP_HOSTS: 'sluice.example' }, 'evil.example')).toBe('host_refused')
  expect(await ask({ BIND_ADDRESS: '0.0.0.0' }, 'evil.example')).toBe('ok')
})
