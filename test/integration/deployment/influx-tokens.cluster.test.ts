import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { openInfluxPoints } from '../../../shared/points/influx/open.ts'
import type { PointBatch } from '../../../shared/telemetry.ts'
import { tempFolder } from '../../helpers.ts'
import { installInfluxdb } from '../../../load-tests/servers/influxdb.ts'
import { freePorts, portAnswers, ServerProcess } from '../../../load-tests/servers/server-process.ts'
import { loadCompose, root } from './compose-file.ts'

const run = promisify(execFile)

/** A server that nobody has set up, with the settings of docker-compose.yml. */
async function startBare(folder: string): Promise<string> {
  const command = await installInfluxdb()
  const [port = 0] = await freePorts(1)
  const given = Object.entries(loadCompose().services['influxdb']?.environment ?? {})
  const env = Object.fromEntries(
    given.map(([name, value]) => [name, String(value).replace('/var/lib/influxdb2', join(folder, 'data'))]),
  )
  const args = ['--http-bind-address', `127.0.0.1:${port}`]
  mkdirSync(join(folder, 'data'))
  const probe = portAnswers(port)
  const server = new ServerProcess({ name: 'InfluxDB', command, args, env, logFile: join(folder, 'log'), probe })
  await server.start()
  onTestFinished(() => server.stop('SIGKILL'))
  return `http://127.0.0.1:${port}`
}

/** The one-shot service `influx-tokens` against that server. */
async function startSetUp() {
  const folder = tempFolder()
  const url = await startBare(folder)
  for (const name of ['worker', 'api']) mkdirSync(join(folder, name))
  writeFileSync(join(folder, 'password'), 'password-of-a-test')
  writeFileSync(join(folder, 'operator'), 'operator-of-a-test')
  const { environment = {}, command = [] } = loadCompose().services['influx-tokens'] ?? {}
  const given = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, String(value)]))
  const env = {
    ...given,
    INFLUX_URL: url,
    INFLUX_ADMIN_PASSWORD_FILE: join(folder, 'password'),
    INFLUX_ADMIN_TOKEN_FILE: join(folder, 'operator'),
    WORKER_TOKEN_FOLDER: join(folder, 'worker'),
    API_TOKEN_FOLDER: join(folder, 'api'),
  }
  const script = join(root, command[0] ?? 'none')
  const file = (whose: string) => join(folder, whose, 'token')
  return {
    url,
    env,
    file,
    folder,
    token: (whose: string) => readFileSync(file(whose), 'utf8'),
    setUp: () => run(process.execPath, ['--disable-warning=ExperimentalWarning', script], { env }),
  }
}

async function openStore(url: string, token: string) {
  const shared = { logger: createLogger('fatal'), metrics: createMetrics({ defaults: false }) }
  const store = await openInfluxPoints({ url, org: 'sluice', bucket: 'telemetry', token: () => token, ...shared })
  onTestFinished(() => store.close())
  return store
}

const reading: PointBatch = {
  series: [{ tenant: 'demo', device: 'pump', stream: 'telemetry', field: 'x', type: 'float' }],
  ms: [1_000],
  ns: [0],
  values: [1.5],
}

describe('the tokens of docker-compose.yml', () => {
  it('let the workers write and read, and the API read and delete', async () => {
    const { setUp, url, token } = await startSetUp()
    await setUp()
    const [workers, api] = [await openStore(url, token('worker')), await openStore(url, token('api'))]
    expect(await workers.write(reading)).toEqual([])
    expect(await workers.series('demo', 'pump')).toHaveLength(1)
    expect(await api.series('demo', 'pump')).toHaveLength(1)
    await api.delete({ tenant: 'demo', device: 'pump' })
    expect(await workers.query({ tenant: 'demo', device: 'pump', stream: 'telemetry', limit: 1 })).toMatchObject({
      series: [],
    })
  })

  it('are files that only their owner reads', async () => {
    const { setUp, file } = await startSetUp()
    await setUp()
    for (const whose of ['worker', 'api']) expect(statSync(file(whose)).mode & 0o777).toBe(0o600)
  })

  it('stay when the stack is started again, and are replaced when they no longer work', async () => {
    const { setUp, url, token, file } = await startSetUp()
    await setUp()
    const [worker, api] = [token('worker'), token('api')]
    await setUp()
    expect([token('worker'), token('api')]).toEqual([worker, api])
    writeFileSync(file('api'), 'lost')
    await setUp()
    expect(token('worker')).toBe(worker)
    expect(token('api')).not.toBe(api)
    // The token that was lost is worth nothing any more.
    const answer = await fetch(`${url}/api/v2/buckets`, { headers: { authorization: `Token ${api}` } })
    expect(answer.status).toBe(401)
  })

  it('are not made when the secret of the operator is another than at the set-up', async () => {
    const { setUp, folder } = await startSetUp()
    await setUp()
    writeFileSync(join(folder, 'operator'), 'another-operator-token')
    await expect(setUp()).rejects.toThrow('restore that secret')
  })
})
