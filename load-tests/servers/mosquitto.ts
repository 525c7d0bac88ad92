import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePorts, portAnswers, ServerProcess } from './server-process.ts'
import { findCommand, installPackages } from './tools.ts'

const run = promisify(execFile)

export interface MosquittoLogin {
  readonly username: string
  readonly secret: string
}

export interface MosquittoOptions {
  /** Nobody else gets in. */
  readonly logins: readonly MosquittoLogin[]
  /** Lines of the ACL file. */
  readonly acl: readonly string[]
  /** Further lines of the configuration, before its listeners. */
  readonly settings?: readonly string[]
  /** A second listener with this certificate. */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string }
}

export interface Mosquitto {
  readonly port: number
  /** Undefined without a certificate. */
  readonly tlsPort: number | undefined
  readonly process: ServerProcess
  stop(): Promise<void>
}

export function installMosquitto(): Promise<void> {
  return installPackages([
    { command: 'mosquitto', package: 'mosquitto', why: 'Mosquitto, the broker that others are compared with' },
  ])
}

/** Starts a broker with its files below `folder` that keeps nothing on disk. */
export async function startMosquitto(folder: string, options: MosquittoOptions): Promise<Mosquitto> {
  await installMosquitto()
  const home = join(folder, 'mosquitto')
  mkdirSync(home, { recursive: true })
  const { logins, acl, settings = [], tls } = options
  const [passwords, aclFile, config] = [join(home, 'passwords'), join(home, 'acl'), join(home, 'mosquitto.conf')]
  writeFileSync(passwords, logins.map(({ username, secret }) => `${username}:${secret}\n`).join(''))
  await run('mosquitto_passwd', ['-U', passwords])
  writeFileSync(aclFile, `${acl.join('\n')}\n`)
  for (const file of [passwords, aclFile]) chmodSync(file, 0o600)
  const [port = 0, tlsPort = 0] = await freePorts(2)
  const lines = [
    `user ${userInfo().username}`,
    'allow_anonymous false',
    'persistence false',
    'log_type error',
    `password_file ${passwords}`,
    `acl_file ${aclFile}`,
    ...settings,
    `listener ${port} 127.0.0.1`,
  ]
  if (tls !== undefined) {
    lines.push(`listener ${tlsPort} 127.0.0.1`, `certfile ${tls.certificateFile}`, `keyfile ${tls.keyFile}`)
  }
  writeFileSync(config, `${lines.join('\n')}\n`)
  const server = new ServerProcess({
    name: 'Mosquitto',
    command: findCommand('mosquitto') ?? 'mosquitto',
    args: ['-c', config],
    logFile: join(home, 'server.log'),
    probe: portAnswers(port),
  })
  await server.start()
  return {
    port,
    tlsPort: tls === undefined ? undefined : tlsPort,
    process: server,
    stop: () => server.stop('SIGKILL'),
  }
}
