import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { startServer, type Server } from '../../e2e/server.ts'
import { tempFolder } from '../../helpers.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')
const USERS = Array.from({ length: 20 }, (_, index) => (index < 10 ? `site/pump-${index}` : `user ${index}`))
const password = (user: string) => `password of ${user}`

async function sluice(server: Server, ...args: string[]) {
  const env = { ...process.env, DATA_DIR: server.folder, HTTP_PORT: String(server.httpPort) }
  const child = spawn(join(root, 'sluice'), args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (text: Buffer) => (output.stdout += text.toString()))
  child.stderr.on('data', (text: Buffer) => (output.stderr += text.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, ...output }
}

/** Publishes at QoS 1; the exit code of mosquitto_pub, which is 0 when the PUBACK came. */
async function publish(server: Server, user: string, secret: string, topic: string): Promise<number> {
  const login = ['-p', String(server.mqttPort), '-u', user, '-P', secret]
  const child = spawn('mosquitto_pub', [...login, '-q', '1', '-t', topic, '-m', '{"t":1}'], { stdio: 'ignore' })
  const [code] = (await once(child, 'close')) as [number]
  return code
}

/** Whether a subscription is granted, as mosquitto_sub says. */
async function mayReceive(server: Server, user: string, secret: string, filter: string): Promise<boolean> {
  const login = ['-p', String(server.mqttPort), '-u', user, '-P', secret]
  const child = spawn('mosquitto_sub', [...login, '-d', '-W', '10', '-t', filter])
  onTestFinished(() => void child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) {
    const [, granted] = /^Subscribed \(mid: \d+\): (\d+)/.exec(line) ?? []
    if (granted === undefined) continue
    child.kill('SIGKILL')
    return Number(granted) < 128
  }
  throw new Error('mosquitto_sub ended without an answer')
}

/** A real configuration: passwords by mosquitto_passwd, rules with patterns, and a dynamic security file. */
async function writeConfiguration(): Promise<string> {
  const folder = tempFolder()
  const passwords = join(folder, 'passwords')
  writeFileSync(passwords, USERS.map((user) => `${user}:${password(user)}\n`).join(''))
  await run('mosquitto_passwd', ['-U', passwords])
  writeFileSync(
    join(folder, 'rules'),
    [
      ...['pattern write t/%u/telemetry/#', 'pattern read t/%u/cmd/#', 'pattern read %c/x'],
      ...['user user 10', 'topic read t/site/+/status', 'topic deny t/site/pump-1/status', 'topic write lab/#'],
    ].join('\n'),
  )
  const dynamic = join(folder, 'dynamic-security.json')
  const plugin = '/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so'
  await run('mosquitto_ctrl', ['dynsec', 'init', dynamic, 'boss', password('boss')]).catch((error: unknown) => {
    throw new Error('mosquitto_ctrl could not make a dynamic security file', { cause: error })
  })
  const conf = join(folder, 'mosquitto.conf')
  const lines = ['listener 1883', 'allow_anonymous true', 'password_file passwords', 'acl_file rules']
  writeFileSync(conf, [...lines, `plugin ${plugin}`, 'plugin_opt_config_file dynamic-security.json', ''].join('\n'))
  return conf
}

it('clients of a Mosquitto go on with their passwords and their rules', async () => {
  const conf = await writeConfiguration()
  const server = await startServer()
  const planned = await sluice(server, 'import', 'mosquitto', conf, '--dry-run')
  expect(planned.code).toBe(0)
  expect(planned.stdout).toMatch(/^site\/pump-0 +device +site\/pump-0 +those of a device$/m)
  expect(planned.stdout).toMatch(/^user 10 +application +user-10-[0-9a-f]{8} /m)
  expect(planned.stderr).toMatch(/allow_anonymous[^]*%c\/x/)
  expect(planned.stdout + planned.stderr).not.toContain('$7$')
  expect((await sluice(server, 'devices', 'show', 'site/pump-0')).code).toBe(1)

  const done = await sluice(server, 'import', 'mosquitto', conf)
  expect(done.code).toBe(0)
  expect(done.stdout).toContain('Imported 21 of 21 logins.')
  const again = await sluice(server, 'import', 'mosquitto', conf, '--json')
  expect(again.code).toBe(0)
  expect(again.stdout).not.toContain('$7$')

  // Once with the old hash, and once with what has taken its place.
  for (const user of ['site/pump-3', 'site/pump-3', 'user 10', 'boss']) {
    expect(await publish(server, user, password(user), 'lab/x')).toBe(0)
  }
  expect(await publish(server, 'site/pump-3', 'wrong', 'lab/x')).not.toBe(0)
  expect(await publish(server, 'user 11', password('user 10'), 'lab/x')).not.toBe(0)
  expect(await mayReceive(server, 'site/pump-3', password('site/pump-3'), 't/site/pump-3/cmd/#')).toBe(true)
  expect(await mayReceive(server, 'site/pump-3', password('site/pump-3'), 't/site/pump-4/cmd/#')).toBe(false)
  expect(await mayReceive(server, 'user 10', password('user 10'), 't/site/+/status')).toBe(true)
  expect(await mayReceive(server, 'user 10', password('user 10'), 't/site/pump-1/status')).toBe(false)
  expect(await mayReceive(server, 'user 12', password('user 12'), 't/site/+/status')).toBe(false)
})

it('a Mosquitto 2.1 with argon2id and its plugins for files is imported like one with password_file and acl_file', async () => {
  const folder = tempFolder()
  // A test vector of the reference implementation: password "password", salt "somesalt".
  // https://github.com/P-H-C/phc-winner-argon2/blob/master/src/test.c
  const hash = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  writeFileSync(join(folder, 'passwords'), `gateway:${hash}\n`)
  writeFileSync(join(folder, 'rules'), 'user gateway\ntopic write lab/#\n')
  const conf = join(folder, 'mosquitto.conf')
  const lines = [
    ...['plugin_load pw /usr/lib/mosquitto_password_file.so', 'plugin_opt_password_file passwords'],
    ...['plugin /usr/lib/mosquitto_acl_file.so', 'plugin_opt_acl_file rules'],
    ...['plugin /usr/lib/mosquitto_persist_sqlite.so', 'listener 1883', 'plugin_use pw', ''],
  ]
  writeFileSync(conf, lines.join('\n'))
  const server = await startServer()
  const done = await sluice(server, 'import', 'mosquitto', conf)
  expect(done).toMatchObject({ code: 0, stdout: 'Imported 1 of 1 logins.\n', stderr: '' })
  expect(await publish(server, 'gateway', 'passwort', 'lab/x')).not.toBe(0)
  // Once with the old hash, and once with what has taken its place.
  for (let login = 0; login < 2; login += 1) expect(await publish(server, 'gateway', 'password', 'lab/x')).toBe(0)
  const rules = await sluice(server, 'applications', 'list')
  expect(rules.stdout).toMatch(/gateway +allow publish lab\/#/)
})

it('a file that is none is refused, and nothing is done', async () => {
  const server = await startServer()
  const { code, stderr } = await sluice(server, 'import', 'mosquitto', '/nowhere/mosquitto.conf')
  expect(code).toBe(1)
  expect(stderr).toContain('/nowhere/mosquitto.conf cannot be read')
})
