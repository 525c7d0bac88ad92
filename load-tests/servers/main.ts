import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { installAll, startAll } from './all.ts'

/**
 * `npm run servers`: installs what is missing (once, cached), runs the real servers on loopback with their data below
 * `--folder` (default: a temporary one), and prints the settings that `./sluice up --cluster` reads. Ctrl-C stops them.
 * `--install` only installs.
 */
const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: join(tmpdir(), 'sluice-servers') },
    brokers: { type: 'string', default: '1' },
    install: { type: 'boolean', default: false },
  },
})

process.stderr.write('Installing what is missing; the first time InfluxDB takes some minutes to build.\n')
try {
  await (values.install ? installAll() : run())
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

async function run(): Promise<void> {
  const folder = resolve(values.folder)
  mkdirSync(folder, { recursive: true })
  const ports = { kafka: 9092, influxdb: 8086, mariadb: 3306, sessions: 6379, cache: 6380 }
  const servers = await startAll(folder, { brokers: values.brokers === '3' ? 3 : 1, ports })
  for (const [name, value] of Object.entries(servers.env)) process.stdout.write(`export ${name}='${value}'\n`)
  process.stderr.write(`The servers run; their data is in ${folder}. Paste the lines above where you run ./sluice.\n`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void servers.stop())
}
