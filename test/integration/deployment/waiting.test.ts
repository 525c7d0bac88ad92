import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it, onTestFinished, vi } from 'vitest'
import { join } from 'node:path'
import { freePorts } from '../../../load-tests/servers/server-process.ts'
import { root } from './compose-file.ts'
import { PATIENCE } from '../../patience.ts'

/** What every service of a cluster must be given; nothing listens at any of these addresses. */
async function nowhere(): Promise<Record<string, string>> {
  const [ops, kafka, influx, mariadb, redis] = await freePorts(5)
  return {
    OPS_PORT: String(ops),
    KAFKA_BROKERS: `127.0.0.1:${kafka}`,
    INFLUX_URL: `http://127.0.0.1:${influx}`,
    INFLUX_TOKEN: 'none',
    MARIADB_URL: `mariadb://u:p@127.0.0.1:${mariadb}/sluice`,
    REDIS_CACHE_URL: `redis://127.0.0.1:${redis}`,
    REDIS_SESSIONS_URL: `redis://127.0.0.1:${redis}`,
    ADMIN_TOKEN: `slk_${'a'.repeat(32)}`,
    CREDENTIAL_KEY: Buffer.alloc(32, 1).toString('base64url'),
    LOG_LEVEL: 'fatal',
  }
}

it.each(['ingest-worker', 'query-api'])(
  'the %s waits for servers that are away, says so, and stops when told',
  async (service) => {
    const env = await nowhere()
    const args = ['--disable-warning=ExperimentalWarning', join(root, `services/${service}/main.ts`)]
    const child = spawn(process.execPath, args, { env: { PATH: process.env['PATH'], ...env }, stdio: 'inherit' })
    const exit = once(child, 'exit')
    onTestFinished(() => void child.kill('SIGKILL'))
    const ask = (path: string) => fetch(`http://127.0.0.1:${env['OPS_PORT']}${path}`)
    // Nobody listens before the process does.
    await vi.waitFor(async () => expect((await ask('/healthz')).status).toBe(200), PATIENCE)
    await vi.waitFor(async () => {
      const answer = await ask('/readyz')
      const detail = 'waiting for registry: registry_unavailable'
      expect(answer.status).toBe(503)
      expect(await answer.json()).toEqual({ ready: false, checks: [{ name: 'start', ok: false, detail }] })
    }, PATIENCE)
    child.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
  },
)
