import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createConnection } from 'mariadb'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { runMigration } from '../../../services/cli/migrate/main.ts'
import { freePorts } from '../../../load-tests/servers/server-process.ts'
import { randomFrom, simulate, type Verdict } from '../kill-in-mid-load.ts'
import { startServer } from '../server.ts'
import { useServers } from './harness.ts'

const root = join(import.meta.dirname, '../../..')
const cluster = useServers()

const RATE = 1_000
/** What standalone is sent at least, of which its store takes about a third. */
const BEFORE = 6_000
/** What the cluster is sent at least by the same devices, with the same secrets. */
const AFTER = 3_000
const KILLS = 4
const LIMIT_MS = 400_000

/** A registry has one credential key, and each standalone its own. */
async function newDatabase(name: string): Promise<string> {
  const url = new URL(cluster.servers.mariadb.url)
  const admin = await createConnection(url.href)
  onTestFinished(() => admin.destroy())
  await admin.query(`create database ${name}`)
  url.pathname = `/${name}`
  return url.href
}

interface Outcome {
  readonly exitCode: number | null
  readonly json: Awaited<ReturnType<typeof runMigration>> & {
    readonly error?: { readonly code: string; readonly message: string }
  }
}

/** Starts a program of the product; killed with the test. */
function start(command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const [program = '', ...args] = command
  const child = spawn(join(root, program), args, { cwd: root, env: { ...process.env, ...env }, stdio: 'pipe' })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    await gone
  })
  return child
}

async function finish(command: readonly string[], env: Readonly<Record<string, string>>): Promise<Outcome> {
  const child = start(command, env)
  const output = { stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  await once(child, 'close')
  if (output.stdout === '') throw new Error(`no answer: ${output.stderr}`)
  return { exitCode: child.exitCode, json: JSON.parse(output.stdout) as Outcome['json'] }
}

/** Resolves when the migration has noted its progress so many times more: a moment that does not depend on the machine. */
async function notes(file: string, count: number, isOver: () => boolean): Promise<void> {
  const noted = () => statSync(file, { throwIfNoEntry: false })?.mtimeMs
  let last = noted()
  for (let left = count; left > 0 && !isOver();) {
    const now = noted()
    if (now === last) await delay(2)
    else {
      left -= 1
      last = now
    }
  }
}

const MIGRATE = ['sluice', 'migrate', '--from', 'standalone', '--to', 'cluster', '--json']

interface Moved extends Outcome {
  readonly verdict: Verdict
  readonly killed: number
}

/** Load on standalone, a migration that is killed again and again, and the same devices go on at the cluster. */
async function moveUnderLoad(seed: number, migrate: readonly string[], patience: string): Promise<Moved> {
  const random = randomFrom(seed)
  const [mqttPort = 0, httpPort = 0] = await freePorts(2)
  const standalone = await startServer({ entry: 'test/variants/standalone-with-stuck-store.ts', mqttPort, httpPort })
  const { folder } = standalone
  const simulation = simulate(standalone, [
    ...['--mqtt', `127.0.0.1:${mqttPort}`, '--tenant', `m${Date.now().toString(36)}`, '--devices', '20'],
    ...['--rate', String(RATE), '--duration', '1h', '--inflight', '16', '--seed', String(seed), '--verify', '--keep'],
    ...['--patience', patience],
  ])
  const failed = simulation.verdict.then((verdict) => {
    throw new Error(`the simulator ended early: ${JSON.stringify(verdict)}`)
  })
  void Promise.allSettled([failed])
  await simulation.sending
  while (simulation.sent() < BEFORE) await Promise.race([delay(250), failed])
  const env = {
    ...{ ...cluster.servers.env, MARIADB_URL: await newDatabase(`sluice_moved_${seed}`) },
    ...{ DATA_DIR: folder, CREDENTIAL_KEY_FILE: join(folder, 'credential-key') },
  }
  const tooEarly = await finish(MIGRATE, env)
  expect(tooEarly).toMatchObject({ exitCode: 1, json: { error: { code: 'data_locked' } } })
  await standalone.kill('SIGKILL')

  let killed = 0
  for (let kill = 0; kill < KILLS; kill += 1) {
    const child = start(migrate, env)
    const gone = once(child, 'exit')
    const isOver = () => child.exitCode !== null
    await notes(join(folder, 'migration.json'), Math.floor(random() * 3) + 1, isOver)
    await delay(random() * 50)
    if (isOver()) break
    child.kill('SIGKILL')
    await gone
    killed += 1
  }
  const outcome = await finish(migrate, env)
  const sentBefore = simulation.sent()
  const moved = start(['sluice', 'up', '--cluster', '--workers', '2'], {
    ...env,
    ...{ MQTT_PORT: String(mqttPort), HTTP_PORT: String(httpPort) },
  })
  // What nobody reads would hold the process up.
  moved.stdout?.resume()
  moved.stderr?.resume()
  while (simulation.sent() < sentBefore + AFTER) await Promise.race([delay(250), failed])
  simulation.stopSending()
  return { ...outcome, verdict: await simulation.verdict, killed }
}

describe('from standalone to a cluster', () => {
  it('everything acknowledged is there once, and devices go on with their secrets', { timeout: LIMIT_MS }, async () => {
    const { exitCode, json, verdict, killed } = await moveUnderLoad(1, MIGRATE, '60s')
    expect({ exitCode, ok: json.ok, resumed: json.resumed }).toEqual({ exitCode: 0, ok: true, resumed: true })
    expect(killed).toBeGreaterThan(0)
    const counts = Object.fromEntries(json.comparisons.map(({ what, target }) => [what, target.count]))
    expect(counts['unconsumed log']).toBeGreaterThan(1_000)
    expect(counts['points']).toBeGreaterThan(1_000)
    expect(counts['devices']).toBe(21)
    expect(verdict).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
    expect(verdict.stored).toBe(verdict.acked)
    expect(verdict.acked).toBeGreaterThan(BEFORE)
    process.stdout.write(`moved ${JSON.stringify(counts)}, killed ${killed} times; 0 lost of ${verdict.acked}\n`)
  })
})

describe('the ledger sees', () => {
  it('a migration that leaves out the unconsumed log', { timeout: LIMIT_MS }, async () => {
    const wrong = ['node_modules/.bin/node', 'test/variants/migrate-without-log.ts']
    const { exitCode, verdict } = await moveUnderLoad(2, wrong, '15s')
    // It sees no difference itself: what it left out it does not compare either.
    expect(exitCode).toBe(0)
    expect(verdict.lost).toBeGreaterThan(1_000)
  })
})
