import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cachedBuild } from './cache-folder.ts'
import { ServerProcess } from './server-process.ts'
import { requireTools } from './tools.ts'

const run = promisify(execFile)
const VERSION = '1.37.2'
const PACKAGE = 'github.com/influxdata/telegraf/cmd/telegraf'
/** Only the plugins of the chain MQTT -> Kafka -> InfluxDB: all of them take ten times as long to build. */
const TAGS = [
  'custom',
  ...['inputs.mqtt_consumer', 'inputs.kafka_consumer', 'outputs.kafka', 'outputs.influxdb_v2'],
  ...['parsers.json', 'parsers.json_v2', 'parsers.influx', 'serializers.influx'],
  // For what writes to us: lines from a socket, and both of its writers for InfluxDB.
  ...['inputs.socket_listener', 'outputs.influxdb'],
]

export interface TelegrafOptions {
  readonly name: string
  /** The whole configuration, TOML. */
  readonly config: string
  /** A line of its log, or a part of one, from which it is ready. */
  readonly readyLine: string
}

/** Builds Telegraf from its Go module, once (about a minute on 2 cores); the path of the binary. */
export async function installTelegraf(): Promise<string> {
  const folder = await cachedBuild(`telegraf-${VERSION}-${TAGS.length}`, async (target) => {
    requireTools('Telegraf', ['go'])
    const flags = ['-ldflags', '-s -w', '-tags', TAGS.join(',')]
    await run('nice', ['-n', '10', 'go', 'install', ...flags, `${PACKAGE}@v${VERSION}`], {
      cwd: target,
      env: { ...process.env, GOBIN: target, CGO_ENABLED: '0' },
      maxBuffer: 64 << 20,
    })
  })
  return join(folder, 'telegraf')
}

/** Starts an agent with its configuration and log below `folder`. */
export async function startTelegraf(folder: string, options: TelegrafOptions): Promise<ServerProcess> {
  const command = await installTelegraf()
  const home = join(folder, options.name)
  mkdirSync(home, { recursive: true })
  const file = join(home, 'telegraf.conf')
  // It may hold a token.
  writeFileSync(file, options.config, { mode: 0o600 })
  const logFile = join(home, 'server.log')
  writeFileSync(logFile, '')
  const probe = async () => readFileSync(logFile, 'utf8').includes(options.readyLine)
  const server = new ServerProcess({ name: options.name, command, args: ['--config', file], logFile, probe })
  await server.start()
  return server
}
