import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { childEnvironment } from '../../shared/config.ts'

/** A service as a process of its own, started again when it ends by itself. */
interface Member {
  readonly name: string
  readonly entry: string
  readonly env: Readonly<Record<string, string>>
}

export interface ClusterOptions {
  readonly workers: number
  /** Where the administrator's token and the credential key are. */
  readonly folder: string
  readonly execPath: string
  /** One line of a member's log. */
  readonly onLine: (line: string) => void
  /** A member ended by itself and is started again. */
  readonly onExit: (name: string, code: number | null) => void
}

/** What a member says when it is ready. */
export type ReadyFacts = Readonly<Record<string, unknown>>

/** A member that ends right after its start is not started more often than this. */
const RESTART_AFTER_MS = 1_000
const services = fileURLToPath(new URL('../', import.meta.url))

/**
 * Broker, workers and API as separate processes on one machine, the API last. `ready` resolves with what each said, by
 * name, when all are; `close` sends SIGTERM and resolves when all are gone.
 */
export class Cluster {
  readonly ready: Promise<ReadonlyMap<string, ReadyFacts>>
  readonly #options: ClusterOptions
  readonly #children = new Map<string, ChildProcess>()
  readonly #facts = new Map<string, ReadyFacts>()
  readonly #allReady = Promise.withResolvers<ReadonlyMap<string, ReadyFacts>>()
  readonly #members: readonly Member[]
  readonly #stopping = new AbortController()

  constructor(options: ClusterOptions) {
    this.#options = options
    this.ready = this.#allReady.promise
    this.#members = members(options)
    for (const member of this.#members) void this.#keepRunning(member)
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    const running = [...this.#children.values()].filter((child) => child.exitCode === null && child.signalCode === null)
    await Promise.all(
      running.map(async (child) => {
        const gone = once(child, 'exit')
        child.kill('SIGTERM')
        await gone
      }),
    )
  }

  async #keepRunning(member: Member): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const code = await this.#run(member)
      if (this.#stopping.signal.aborted) return
      this.#options.onExit(member.name, code)
      await delay(RESTART_AFTER_MS)
    }
  }

  async #run({ name, entry, env }: Member): Promise<number | null> {
    const args = ['--disable-warning=ExperimentalWarning', join(services, entry)]
    const child = spawn(this.#options.execPath, args, {
      env: childEnvironment(env),
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#children.set(name, child)
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.#options.onLine(line)
      if (line.includes('"msg":"ready"')) this.#isReady(name, line)
    })
    await once(child, 'exit')
    return child.exitCode
  }

  #isReady(name: string, line: string): void {
    this.#facts.set(name, JSON.parse(line) as ReadyFacts)
    if (this.#facts.size === this.#members.length) this.#allReady.resolve(this.#facts)
  }
}

function members({ workers, folder }: ClusterOptions): Member[] {
  const home = resolve(folder)
  const secrets = { CREDENTIAL_KEY_FILE: join(home, 'credential-key'), ADMIN_TOKEN_FILE: join(home, 'admin-token') }
  const env = { OPS_PORT: '0', ...secrets }
  return [
    { name: 'broker', entry: 'broker/main.ts', env },
    ...Array.from({ length: workers }, (_, index) => {
      return { name: `ingest-worker-${index + 1}`, entry: 'ingest-worker/main.ts', env }
    }),
    { name: 'query-api', entry: 'query-api/main.ts', env },
  ]
}
