import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { BACKOFF, backoffMs, pause } from '../../shared/backoff.ts'
import { childEnvironment } from '../../shared/config.ts'
import { ERRORS, isErrorCode, SluiceError } from '../../shared/errors.ts'
import type { Address } from '../../shared/process/listen.ts'

/** A service as a process of its own, started again when it ends by itself. */
interface Member {
  readonly name: string
  readonly entry: string
  readonly env: Readonly<Record<string, string>>
}

export interface LocalClusterOptions {
  /** At least one; all of them listen on the same ports. */
  readonly brokers: number
  readonly workers: number
  /** Where the administrator's token and the credential key are. */
  readonly folder: string
  /** For every member, beside this process's own environment. */
  readonly env: Readonly<Record<string, string>>
  readonly execPath: string
  /** One line of a member's log. */
  readonly onLine: (line: string) => void
  /** A member ended by itself, or could not be started, and is started again. */
  readonly onExit: (name: string, reason: string) => void
}

/** What a member says when it is ready. */
interface ReadyLine {
  readonly pid: number
  readonly operations: number
  readonly mqtt?: Address
  readonly http?: Address
}

/** What the members said together. */
export interface LocalClusterFacts {
  readonly mqtt: Address
  readonly http: Address
  readonly processes: readonly { readonly name: string; readonly pid: number; readonly operations: number }[]
}

const BROKER = 'broker'
const API = 'query-api'
const services = fileURLToPath(new URL('../', import.meta.url))

/**
 * Broker, workers and API as separate processes on one machine. The API starts when the broker says where it listens.
 * `close` sends SIGTERM to all and resolves when they are gone.
 */
export class LocalCluster {
  readonly #options: LocalClusterOptions
  readonly #children = new Map<string, ChildProcess>()
  readonly #facts = new Map<string, ReadyLine>()
  readonly #allReady = Promise.withResolvers<LocalClusterFacts>()
  readonly #expected: number
  readonly #stopping = new AbortController()

  constructor(options: LocalClusterOptions) {
    this.#options = options
    const { workers, brokers } = options
    const names = Array.from({ length: workers }, (_, index) => `ingest-worker-${index + 1}`)
    this.#expected = workers + brokers + 1
    void this.#keepRunning({ name: BROKER, entry: 'broker/main.ts', env: this.#sharing(1) })
    for (const name of names) void this.#keepRunning({ name, entry: 'ingest-worker/main.ts', env: {} })
  }

  /** Resolves when all said that they are ready. Rejects with the signal's reason when it is aborted before. */
  ready(signal: AbortSignal): Promise<LocalClusterFacts> {
    const { promise, reject } = Promise.withResolvers<never>()
    signal.addEventListener('abort', () => reject(new SluiceError('closed', 'stopped before every process was ready')))
    return Promise.race([this.#allReady.promise, promise])
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    const running = [...this.#children.values()].filter(isRunning)
    await Promise.all(
      running.map(async (child) => {
        const gone = once(child, 'exit')
        child.kill('SIGTERM')
        await gone
      }),
    )
  }

  async #keepRunning(member: Member): Promise<void> {
    let failures = 0
    while (!this.#stopping.signal.aborted) {
      const { reason, lastLine, wasReady } = await this.#run(member)
      if (this.#stopping.signal.aborted) return
      // What it was started with will not become right by starting it again.
      if (!this.#facts.has(member.name) && isMisconfigured(lastLine)) {
        this.#allReady.reject(new SluiceError('setting_invalid', `${member.name} cannot start: ${lastLine}`))
        return
      }
      this.#options.onExit(member.name, reason)
      failures = wasReady ? 1 : failures + 1
      await pause(backoffMs(BACKOFF.restart, failures), this.#stopping.signal)
    }
  }

  /** Resolves with how the process ended, and what it said last. Never rejects. */
  async #run(member: Member): Promise<{ reason: string; lastLine: string; wasReady: boolean }> {
    const args = ['--disable-warning=ExperimentalWarning', join(services, member.entry)]
    const child = spawn(this.#options.execPath, args, {
      env: this.#environment(member),
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#children.set(member.name, child)
    let lastLine = ''
    let wasReady = false
    createInterface({ input: child.stderr }).on('line', (line) => {
      lastLine = line
      this.#options.onLine(line)
      if (!line.includes('"msg":"ready"')) return
      wasReady = true
      this.#isReady(member.name, JSON.parse(line) as ReadyLine)
    })
    // One that could not be started has no exit.
    const { promise, resolve } = Promise.withResolvers<string>()
    // When it has said all.
    child.once('close', (code, signal) => resolve(`exited with ${code ?? signal}`))
    child.once('error', (error) => resolve(`could not be started: ${error.message}`))
    return { reason: await promise, lastLine, wasReady }
  }

  #isReady(name: string, line: ReadyLine): void {
    this.#facts.set(name, line)
    const { mqtt } = this.#facts.get(BROKER) ?? {}
    if (mqtt !== undefined && !this.#children.has(API)) {
      // The first broker has chosen the port, if nobody else did.
      for (let index = 2; index <= this.#options.brokers; index += 1) {
        const own = { ...this.#sharing(index), MQTT_PORT: String(mqtt.port) }
        void this.#keepRunning({ name: `${BROKER}-${index}`, entry: 'broker/main.ts', env: own })
      }
      const env = { MQTT_ADDRESS: `${mqtt.host}:${mqtt.port}` }
      void this.#keepRunning({ name: API, entry: 'query-api/main.ts', env })
    }
    const { http } = this.#facts.get(API) ?? {}
    if (this.#facts.size < this.#expected || mqtt === undefined || http === undefined) return
    const processes = [...this.#facts].map(([member, { pid, operations }]) => ({ name: member, pid, operations }))
    this.#allReady.resolve({ mqtt, http, processes })
  }

  /** For brokers that share their ports; the name that a single one is given, or has by its port, would be that of all. */
  #sharing(number: number): Record<string, string> {
    return this.#options.brokers === 1 ? {} : { MQTT_REUSE_PORT: 'on', NODE_ID: `${hostname()}-${number}` }
  }

  #environment(member: Member): Record<string, string | undefined> {
    const { folder, env } = this.#options
    const secrets = {
      CREDENTIAL_KEY_FILE: join(folder, 'credential-key'),
      ADMIN_TOKEN_FILE: join(folder, 'admin-token'),
    }
    // A member that is started again is found where it was.
    const { mqtt, http } = this.#facts.get(member.name) ?? {}
    const ports = {
      ...(mqtt === undefined ? {} : { MQTT_PORT: String(mqtt.port) }),
      ...(http === undefined ? {} : { HTTP_PORT: String(http.port) }),
    }
    return childEnvironment({ OPS_PORT: '0', ...secrets, ...env, ...member.env, ...ports })
  }
}

/** Whether a process that ended says that somebody has to change what it is started with. */
function isMisconfigured(lastLine: string): boolean {
  const [, code = ''] = /^sluice: .*\((\w+)\)\. /.exec(lastLine) ?? []
  return isErrorCode(code) && ERRORS[code].class === 'configuration'
}

/** Whether the process was started and has not ended. */
function isRunning({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null
}
