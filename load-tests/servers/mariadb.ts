import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Certificate } from './certificates.ts'
import { freePorts, portAnswers, ServerProcess } from './server-process.ts'
import { findCommand, installPackages } from './tools.ts'

const run = promisify(execFile)

export interface Mariadb {
  /** `mariadb://user:password@host:port/database` of a server that is thrown away. */
  readonly url: string
  readonly process: ServerProcess
  stop(): Promise<void>
}

export function installMariadb(): Promise<void> {
  return installPackages([
    { command: 'mariadbd', package: 'mariadb-server', why: 'MariaDB, the registry of the cluster' },
  ])
}

/** Starts a server below `folder` with the database and the user `sluice`; its URL asks for TLS where there is a certificate. */
export async function startMariadb(
  folder: string,
  options: { port?: number; tls?: Certificate } = {},
): Promise<Mariadb> {
  await installMariadb()
  const port = options.port ?? (await freePorts(1))[0] ?? 0
  const home = join(folder, 'mariadb')
  // A server that starts removes the temporary tables that it finds: those of another one, in a folder that they share.
  const temporary = join(home, 'tmp')
  mkdirSync(temporary, { recursive: true })
  const user = userInfo().username
  const folders = [`--datadir=${join(home, 'data')}`, `--tmpdir=${temporary}`]
  const common = ['--no-defaults', ...folders, ...(user === 'root' ? ['--user=root'] : [])]
  const installer = findCommand('mariadb-install-db') ?? 'mariadb-install-db'
  await run(installer, [...common, '--auth-root-authentication-method=socket', '--skip-test-db'])
  const init = join(home, 'init.sql')
  writeFileSync(
    init,
    `CREATE DATABASE IF NOT EXISTS sluice CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER IF NOT EXISTS sluice@127.0.0.1 IDENTIFIED BY 'sluice-test';
GRANT ALL ON \`sluice%\`.* TO sluice@127.0.0.1;
`,
  )
  const { tls } = options
  const args = [
    ...common,
    ...[
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(home, 's.sock')}`,
      `--pid-file=${join(home, 'pid')}`,
    ],
    ...(tls === undefined ? [] : [`--ssl-cert=${tls.certificate}`, `--ssl-key=${tls.key}`]),
    ...[`--init-file=${init}`, '--innodb-buffer-pool-size=64M', '--skip-name-resolve', '--max-connections=200'],
  ]
  const logFile = join(home, 'server.log')
  const command = findCommand('mariadbd') ?? 'mariadbd'
  const process = new ServerProcess({ name: 'MariaDB', command, args, logFile, probe: portAnswers(port) })
  await process.start()
  const url = `mariadb://sluice:sluice-test@127.0.0.1:${port}/sluice${tls === undefined ? '' : '?ssl=true'}`
  return { url, process, stop: () => process.stop('SIGKILL') }
}
