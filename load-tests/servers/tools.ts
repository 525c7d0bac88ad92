import { execFile, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What a build needs and a package manager other than ours provides. */
const PURPOSE = {
  java: 'Java 17 or newer, to run Kafka (Debian: openjdk-17-jre-headless)',
  mvn: 'Maven, to fetch Kafka (Debian: maven)',
  go: 'Go 1.22 or newer, to build InfluxDB and Telegraf',
  cargo: 'Rust with cargo, to build the query engine inside InfluxDB',
  cc: 'a C compiler, to build InfluxDB (Debian: build-essential)',
  python3: 'Python 3 with pip, for clients that are written in it (Debian: python3-pip)',
  openssl: 'OpenSSL, to make certificates (Debian: openssl)',
} as const

export type Tool = keyof typeof PURPOSE

/** The path of a command, looked up as a shell would and in the folders of system daemons; undefined if there is none. */
export function findCommand(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return false
  }
}

/** Throws one error that names every missing tool and what it is for. */
export function requireTools(what: string, tools: readonly Tool[]): void {
  const missing = tools.filter((tool) => findCommand(tool) === undefined)
  if (missing.length === 0) return
  const list = missing.map((tool) => `  ${tool}: ${PURPOSE[tool]}`).join('\n')
  throw new Error(`${what} cannot be installed here, because these are missing:\n${list}`)
}

/** Installs the Debian packages whose command is missing; throws saying which package and why when there is no way to. */
export async function installPackages(
  wanted: readonly { command: string; package: string; why: string }[],
): Promise<void> {
  const missing = wanted.filter((entry) => findCommand(entry.command) === undefined)
  if (missing.length === 0) return
  const list = missing.map((entry) => `  ${entry.package}: ${entry.why}`).join('\n')
  const root = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const can =
    findCommand('apt-get') !== undefined && (root.length === 0 || spawnSync('sudo', ['-n', 'true']).status === 0)
  if (!can)
    throw new Error(`these packages are missing, and cannot be installed without apt-get and root rights:\n${list}`)
  const apt = async (...args: string[]) => {
    const [command = '', ...rest] = [...root, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', ...args]
    await run(command, rest, { maxBuffer: 64 << 20 })
  }
  await apt('update')
  await apt('install', '-y', '--no-install-recommends', ...missing.map((entry) => entry.package))
}
