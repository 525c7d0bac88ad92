import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cachedBuild } from './cache-folder.ts'
import type { Certificate } from './certificates.ts'
import { freePorts, portAnswers, ServerProcess } from './server-process.ts'
import { requireTools } from './tools.ts'

const run = promisify(execFile)
const VERSION = '2.7.12'
const MODULE = 'github.com/influxdata/influxdb/v2'
const PKG_CONFIG = 'github.com/influxdata/pkg-config'

export interface Influxdb {
  readonly url: string
  readonly org: string
  /** Operator token of a server that is thrown away. */
  readonly token: string
  readonly process: ServerProcess
  stop(): Promise<void>
}

/** Builds influxd from its Go module, once (7 to 8 minutes on 2 cores); the path of the binary. */
export async function installInfluxdb(): Promise<string> {
  const folder = await cachedBuild(`influxd-${VERSION}`, async (target) => {
    requireTools('InfluxDB', ['go', 'cargo', 'cc'])
    const work = join(target, 'build')
    mkdirSync(join(work, 'bin'), { recursive: true })
    const options = { cwd: work, maxBuffer: 64 << 20 }
    const { stdout } = await run('go', ['mod', 'download', '-json', `${MODULE}@v${VERSION}`], {
      ...options,
      cwd: target,
    })
    const { Dir: source } = JSON.parse(stdout) as { Dir: string }
    // The server's own go.mod replaces one dependency; a replacement does not carry over to those who import it.
    const replaced = /^\s*(?:replace\s+)?(github\.com\/nats-io\/nats-streaming-server\s+.*=>.*)$/m
    const replacement = replaced.exec(readFileSync(join(source, 'go.mod'), 'utf8'))?.[1] ?? ''
    writeFileSync(
      join(work, 'go.mod'),
      `module build\n\ngo 1.22\n\nrequire ${MODULE} v${VERSION}\n\nreplace ${replacement}\n`,
    )
    writeFileSync(
      join(work, 'tools.go'),
      `//go:build tools\n\npackage tools\n\nimport (\n\t_ "${MODULE}/cmd/influxd"\n\t_ "${PKG_CONFIG}"\n)\n`,
    )
    await run('go', ['mod', 'tidy', '-e'], options)
    await run('go', ['build', '-o', 'bin/pkg-config', PKG_CONFIG], options)
    const wrapper = join(work, 'bin', 'rustc-wrapper')
    writeFileSync(wrapper, '#!/bin/sh\nexec "$@" --cap-lints warn\n')
    chmodSync(wrapper, 0o755)
    const path = `${join(work, 'bin')}:${process.env['PATH'] ?? ''}`
    const env = { ...process.env, PATH: path, RUSTUP_TOOLCHAIN: 'stable', RUSTC_WRAPPER: wrapper }
    const flags = ['-tags', 'sqlite_foreign_keys,sqlite_json', '-ldflags', '-s -w']
    await run('go', ['build', ...flags, '-o', 'influxd', `${MODULE}/cmd/influxd`], { ...options, env })
    renameSync(join(work, 'influxd'), join(target, 'influxd'))
    await run('rm', ['-rf', work])
  })
  return join(folder, 'influxd')
}

/** Starts a server below `folder` and makes its organisation and operator token; over TLS with a certificate. */
export async function startInfluxdb(
  folder: string,
  options: { port?: number; tls?: Certificate } = {},
): Promise<Influxdb> {
  const binary = await installInfluxdb()
  const port = options.port ?? (await freePorts(1))[0] ?? 0
  const url = `http://127.0.0.1:${port}`
  const home = join(folder, 'influxdb')
  mkdirSync(home, { recursive: true })
  const paths = [
    '--bolt-path',
    join(home, 'bolt'),
    '--sqlite-path',
    join(home, 'sqlite'),
    '--engine-path',
    join(home, 'engine'),
  ]
  const args = [...paths, '--http-bind-address', `127.0.0.1:${port}`, '--reporting-disabled', '--log-level', 'warn']
  const logFile = join(home, 'server.log')
  const process = new ServerProcess({ name: 'InfluxDB', command: binary, args, logFile, probe: () => isHealthy(url) })
  await process.start()
  const token = await setUp(url, join(home, 'token'))
  if (options.tls === undefined) return { url, org: 'sluice', token, process, stop: () => process.stop('SIGKILL') }
  await process.stop()
  const { certificate, key } = options.tls
  const secure = new ServerProcess({
    ...{ name: 'InfluxDB', command: binary, logFile, probe: portAnswers(port) },
    args: [...args, '--tls-cert', certificate, '--tls-key', key],
  })
  await secure.start()
  return { url: `https://127.0.0.1:${port}`, org: 'sluice', token, process: secure, stop: () => secure.stop('SIGKILL') }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok
  } catch (error) {
    if (error instanceof TypeError) return false
    throw error
  }
}

/** The set-up works once; a server that is started again keeps its token in the file. */
async function setUp(url: string, tokenFile: string): Promise<string> {
  const token = randomBytes(24).toString('base64url')
  const body = {
    username: 'operator',
    password: randomBytes(18).toString('base64url'),
    org: 'sluice',
    bucket: 'initial',
    token,
  }
  const response = await fetch(`${url}/api/v2/setup`, { method: 'POST', body: JSON.stringify(body) })
  if (response.status === 422) return readFileSync(tokenFile, 'utf8')
  if (!response.ok) throw new Error(`InfluxDB set-up answered ${response.status}: ${await response.text()}`)
  writeFileSync(tokenFile, token, { mode: 0o600 })
  return token
}
