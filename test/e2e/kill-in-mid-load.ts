import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { vi } from 'vitest'
import { PATIENCE } from '../patience.ts'
import { metricOf, startServer, type Server } from './server.ts'

const root = join(import.meta.dirname, '../..')

/** What `./sluice simulate --verify --json` says at the end. */
export interface Verdict {
  readonly sent: number
  readonly acked: number
  readonly stored: number
  readonly lost: number
  readonly duplicated: number
  readonly wrong: number
  /** `{tenant}/{device}` of the first device. */
  readonly firstDevice: string
}

export interface KillPlan {
  readonly seed: number
  readonly qos: number
  readonly entry?: string
  /** How often the process is killed and started again. */
  readonly kills?: number
}

const DEVICES = 20
const RATE = 3_000
/** A kill comes this long after the start before it, at most. */
const LONGEST_LIFE_MS = 1_600
/** Readings that are acknowledged after the last restart. */
const ENOUGH = 5_000

/** Load by the product's own simulator while the server is killed at random moments; then every acknowledged reading is looked up. */
export async function killInMidLoad(plan: KillPlan): Promise<Verdict & { kills: number }> {
  const entry = plan.entry === undefined ? {} : { entry: plan.entry }
  const random = randomFrom(plan.seed)
  const kills = plan.kills ?? 3
  let server = await startServer(entry)
  const simulation = simulate(server, [
    ...['--devices', String(DEVICES), '--rate', String(RATE), '--duration', '10m', '--inflight', '16'],
    ...['--qos', String(plan.qos), '--seed', String(plan.seed), '--verify'],
    // What a known-wrong variant lost does not come, however long it is waited for.
    ...(plan.entry === undefined ? [] : ['--patience', '8s']),
  ])
  await simulation.sending
  for (let kill = 0; kill < kills; kill += 1) {
    // Not synchronisation: the moment of the kill is what the seed decides.
    await new Promise((resolve) => setTimeout(resolve, 100 + random() * LONGEST_LIFE_MS))
    await server.kill('SIGKILL')
    server = await startServer({
      ...entry,
      folder: server.folder,
      mqttPort: server.mqttPort,
      httpPort: server.httpPort,
    })
  }
  // However slow the restarts were, there is load behind the last one, too.
  const last = server
  await vi.waitUntil(async () => (await metricOf(last, 'sluice_broker_publishes_acked_total')) > ENOUGH, PATIENCE)
  simulation.stopSending()
  const verdict = await simulation.verdict
  return { ...verdict, kills }
}

export interface Simulation {
  /** Resolves with the first progress line. */
  readonly sending: Promise<void>
  /** Messages sent as of the last progress line, which comes every few seconds. */
  readonly sent: () => number
  /** Ends the sending early; what was sent is still waited for and verified. */
  readonly stopSending: () => void
  readonly verdict: Promise<Verdict>
}

/** Runs `./sluice simulate`. */
export function simulate(server: Pick<Server, 'url' | 'token' | 'folder'>, args: readonly string[]): Simulation {
  const env = { ...process.env, SLUICE_URL: server.url, SLUICE_TOKEN: server.token, DATA_DIR: server.folder }
  const child = spawn(join(root, 'sluice'), ['simulate', ...args, '--json'], { cwd: root, env, stdio: 'pipe' })
  const sending = Promise.withResolvers<void>()
  const output = { stdout: '', stderr: '' }
  let sent = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  createInterface({ input: child.stderr }).on('line', (line) => {
    output.stderr += `${line}\n`
    sent = Number(/sent (\d+)/.exec(line)?.[1] ?? sent)
    sending.resolve()
  })
  const finish = async () => {
    await once(child, 'close')
    sending.resolve()
    try {
      return JSON.parse(output.stdout) as Verdict
    } catch (error) {
      throw new Error(`the simulator gave no verdict:\n${output.stdout}\n${output.stderr}`, { cause: error })
    }
  }
  const stopSending = () => void child.kill('SIGINT')
  return { sending: sending.promise, sent: () => sent, stopSending, verdict: finish() }
}

/** mulberry32: small, seeded, good enough to choose moments. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
