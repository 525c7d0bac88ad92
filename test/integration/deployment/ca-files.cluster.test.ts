import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import {
  influxOptions,
  mariadbOptions,
  queryApiProcessSettings,
  redisCacheOptions,
  redisSessionsOptions,
} from '../../../config/cluster.ts'
import { openRedisCache } from '../../../shared/cache/redis/open.ts'
import { loadConfig } from '../../../shared/config.ts'
import type { SluiceError } from '../../../shared/errors.ts'
import { openRedisLink } from '../../../shared/mesh/redis-link.ts'
import { openInfluxPoints } from '../../../shared/points/influx/open.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openMariadbRegistry } from '../../../shared/registry/mariadb/open.ts'
import { codeOf } from '../../contract/log-harness.ts'
import { tempFolder } from '../../helpers.ts'
import { PATIENCE } from '../../patience.ts'
import { makeAuthority } from '../../../load-tests/servers/certificates.ts'
import { startInfluxdb } from '../../../load-tests/servers/influxdb.ts'
import { startMariadb } from '../../../load-tests/servers/mariadb.ts'
import { startRedis } from '../../../load-tests/servers/redis.ts'

/** A certificate for a server, and a file of authorities that believes in it, or in another one. */
async function trust() {
  const folder = tempFolder()
  const [ours, other] = [await makeAuthority(join(folder, 'ours')), await makeAuthority(join(folder, 'other'))]
  const file = join(folder, 'ca.pem')
  const believe = (who: 'ours' | 'other') => copyFileSync((who === 'ours' ? ours : other).ca, file)
  believe('ours')
  return { folder, tls: await ours.issue('server'), file, believe }
}

/** What the settings of a service make of these variables, with what every adapter is opened with. */
function configOf(variables: Record<string, string>) {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  onTestFinished(() => void vi.unstubAllEnvs())
  const needed = { ADMIN_TOKEN: 'x', INFLUX_TOKEN: 'x', MARIADB_URL: 'mariadb://h/d' }
  const key = { CREDENTIAL_KEY: Buffer.alloc(32, 1).toString('base64url') }
  return loadConfig(queryApiProcessSettings, { ...needed, ...key, ...variables })
}

const surroundings = () => ({ logger: createLogger('silent'), metrics: createMetrics({ defaults: false }) })

it('MariaDB is verified with MARIADB_CA_FILE, which is read again when it is not believed', async () => {
  const { folder, tls, file, believe } = await trust()
  const server = await startMariadb(folder, { tls })
  onTestFinished(() => server.stop())
  believe('other')
  const config = configOf({ MARIADB_URL: server.url, MARIADB_CA_FILE: file })
  const reasons: (string | undefined)[] = []
  const onWaiting = (reason: SluiceError | undefined) => {
    reasons.push(reason?.code)
    believe('ours')
  }
  const { signal } = new AbortController()
  const registry = await openMariadbRegistry({ ...mariadbOptions(config), ...surroundings(), signal, onWaiting })
  onTestFinished(() => registry.close())
  expect(reasons[0]).toBe('registry_refused')
  expect(await registry.getDevice('acme', 'p1')).toBeUndefined()
  const plain = configOf({ MARIADB_URL: server.url.replace('?ssl=true', ''), MARIADB_CA_FILE: file })
  expect(await codeOf(openMariadbRegistry({ ...mariadbOptions(plain), ...surroundings() }))).toBe('setting_invalid')
})

it('InfluxDB is verified with INFLUX_CA_FILE, which is read at each connection', async () => {
  const { folder, tls, file, believe } = await trust()
  const server = await startInfluxdb(folder, { tls })
  onTestFinished(() => server.stop())
  const config = configOf({ INFLUX_URL: server.url, INFLUX_TOKEN: server.token, INFLUX_CA_FILE: file })
  believe('other')
  const reasons: (string | undefined)[] = []
  const onWaiting = (reason: Error | undefined) => {
    reasons.push(reason?.message)
    believe('ours')
  }
  const points = await openInfluxPoints({ ...influxOptions(config), ...surroundings(), onWaiting })
  onTestFinished(() => points.close())
  expect(reasons[0]).toMatch(/certificate|self.signed/i)
  expect(await points.series('acme', 'p1')).toEqual([])
  const plain = configOf({ INFLUX_URL: server.url.replace('https', 'http'), INFLUX_CA_FILE: file })
  expect(await codeOf(openInfluxPoints({ ...influxOptions(plain), ...surroundings() }))).toBe('setting_invalid')
})

it('both Redis are verified with their CA_FILE, which is read before each connection', async () => {
  const { folder, tls, file, believe } = await trust()
  const [sessions, cache] = await Promise.all([
    startRedis(folder, 'sessions', { tls }),
    startRedis(folder, 'cache', { tls }),
  ])
  onTestFinished(async () => void (await Promise.all([sessions.stop(), cache.stop()])))
  const urls = { REDIS_SESSIONS_URL: sessions.url, REDIS_CACHE_URL: cache.url }
  const config = configOf({ ...urls, REDIS_SESSIONS_CA_FILE: file, REDIS_CACHE_CA_FILE: file })
  believe('other')
  const link = await openRedisLink({ ...redisSessionsOptions(config), ...surroundings() })
  onTestFinished(() => link.close())
  const kept = await openRedisCache({ ...redisCacheOptions(config), ...surroundings() })
  onTestFinished(() => kept.close())
  expect([link.isUp, kept.available]).toEqual([false, false])
  believe('ours')
  await vi.waitUntil(() => link.isUp && kept.available, PATIENCE)
  expect(await link.run((redis) => redis.set('key', 'value'))).toBe('OK')
  const plain = configOf({ ...urls, REDIS_CACHE_URL: 'redis://127.0.0.1:1', REDIS_CACHE_CA_FILE: file })
  expect(await codeOf(openRedisCache({ ...redisCacheOptions(plain), ...surroundings() }))).toBe('setting_invalid')
})

it('a file that cannot be read is named at the start', () => {
  const config = configOf({ INFLUX_CA_FILE: '/none' })
  expect(() => influxOptions(config)).toThrow(/INFLUX_CA_FILE/)
})
