import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts, ServerProcess } from './server-process.ts'
import { findCommand, installPackages } from './tools.ts'

/** What InfluxDB 1.x has of a database: the rows of each measurement and set of tags, with times in ms. */
export interface Influxdb1Series {
  readonly name: string
  readonly tags?: Readonly<Record<string, string>>
  readonly columns: readonly string[]
  readonly values: readonly (readonly (string | number | boolean | null)[])[]
}

export interface Influxdb1 {
  readonly port: number
  readonly url: string
  query(database: string, text: string): Promise<readonly Influxdb1Series[]>
  stop(): Promise<void>
}

/** Debian's InfluxDB 1.6. */
export function installInfluxdb1(): Promise<void> {
  return installPackages([
    { command: 'influxd', package: 'influxdb', why: 'InfluxDB 1.6, which answers what the same writers wrote' },
  ])
}

/** Starts a server on loopback with its data below `folder`. */
export async function startInfluxdb1(folder: string): Promise<Influxdb1> {
  await installInfluxdb1()
  const [port = 0, rpc = 0] = await freePorts(2)
  const home = join(folder, 'influxdb-1')
  mkdirSync(home, { recursive: true })
  const config = join(home, 'influxdb.conf')
  const place = (name: string) => JSON.stringify(join(home, name))
  writeFileSync(
    config,
    `reporting-disabled = true
bind-address = "127.0.0.1:${rpc}"
[meta]
dir = ${place('meta')}
[data]
dir = ${place('data')}
wal-dir = ${place('wal')}
[http]
bind-address = "127.0.0.1:${port}"
log-enabled = false
[monitor]
store-enabled = false
`,
  )
  const url = `http://127.0.0.1:${port}`
  const probe = async () => (await fetch(`${url}/ping`)).status === 204
  const command = findCommand('influxd') ?? 'influxd'
  const server = new ServerProcess({
    ...{ name: 'InfluxDB 1.6', command, args: ['-config', config], logFile: join(home, 'server.log') },
    probe: () => probe().catch(() => false),
  })
  await server.start()
  const query = async (database: string, text: string): Promise<readonly Influxdb1Series[]> => {
    const answer = await fetch(`${url}/query?${new URLSearchParams({ db: database, q: text, epoch: 'ms' }).toString()}`)
    const { results } = (await answer.json()) as { results: { series?: Influxdb1Series[]; error?: string }[] }
    const error = results.find((one) => one.error !== undefined)?.error
    if (error !== undefined) throw new Error(`InfluxDB 1.6: ${text}: ${error}`)
    return results.flatMap(({ series }) => series ?? [])
  }
  return { port, url, query, stop: () => server.stop('SIGKILL') }
}
