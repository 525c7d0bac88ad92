import { join } from 'node:path'
import { mkdirSync, readFileSync } from 'node:fs'
import { loadApiKey, loadCredentialKey } from '../../shared/registry/credentials.ts'
import { Member, type MemberSpec } from './member.ts'

export interface ClusterPlan {
  /** One unless given. */
  readonly brokers?: number
  readonly workers: number
  /** One unless given. */
  readonly apis?: number
  /** Composition root of the workers, with arguments; the product's own by default. */
  readonly workerCommand?: readonly string[]
  /** The same of the broker. */
  readonly brokerCommand?: readonly string[]
  /** For the brokers only. */
  readonly brokerEnv?: MemberSpec['env']
  /** For the workers only, such as another way to InfluxDB. */
  readonly workerEnv?: MemberSpec['env']
  /** For every process. */
  readonly env: Readonly<Record<string, string>>
  /** Where the code of every process is; this checkout unless given. */
  readonly checkout?: string
  /** Keys, logs; the same for every cluster on the same servers. */
  readonly folder: string
}

export const WORKER = ['services/ingest-worker/main.ts']

/** Brokers, workers and API as processes that a test kills, starts, adds and removes. */
export class Cluster {
  /** The first one. */
  readonly broker: Member
  readonly brokers: readonly Member[]
  /** The first one. */
  readonly api: Member
  readonly apis: readonly Member[]
  readonly workers: Member[] = []
  readonly #plan: ClusterPlan
  readonly #env: Readonly<Record<string, string>>
  /** Every process that there ever was. */
  readonly #members: Member[] = []
  #made = 0

  constructor(plan: ClusterPlan) {
    const { folder, env } = plan
    mkdirSync(folder, { recursive: true })
    const keys = { ADMIN_TOKEN_FILE: join(folder, 'admin-token'), CREDENTIAL_KEY_FILE: join(folder, 'credential-key') }
    loadApiKey(keys.ADMIN_TOKEN_FILE)
    loadCredentialKey(keys.CREDENTIAL_KEY_FILE)
    this.#plan = plan
    this.#env = { LOG_LEVEL: 'debug', ...keys, ...env }
    const command = plan.brokerCommand ?? ['services/broker/main.ts']
    this.broker = this.#member('broker', command, plan.brokerEnv)
    const others = Array.from({ length: (plan.brokers ?? 1) - 1 }, (_, index) => `broker-${index + 2}`)
    this.brokers = [this.broker, ...others.map((name) => this.#member(name, command, plan.brokerEnv))]
    const api = ['services/query-api/main.ts']
    this.api = this.#member('query-api', api)
    const more = Array.from({ length: (plan.apis ?? 1) - 1 }, (_, index) => `query-api-${index + 2}`)
    this.apis = [this.api, ...more.map((name) => this.#member(name, api))]
  }

  get url(): string {
    return `http://127.0.0.1:${this.api.ready.http?.port}`
  }

  get token(): string {
    return readFileSync(join(this.#plan.folder, 'admin-token'), 'utf8').trim()
  }

  get mqtt(): string {
    return `127.0.0.1:${this.broker.ready.mqtt?.port}`
  }

  /** Resolves when every process is ready. */
  async start(): Promise<void> {
    const workers = Array.from({ length: this.#plan.workers }, () => this.addWorker())
    const members = [...this.brokers, ...this.apis].map((member) => member.start())
    await Promise.all([...members, ...workers])
  }

  /** Resolves when the new worker is ready. */
  async addWorker(): Promise<Member> {
    this.#made += 1
    const command = this.#plan.workerCommand ?? WORKER
    const worker = this.#member(`ingest-worker-${this.#made}`, command, this.#plan.workerEnv)
    this.workers.push(worker)
    await worker.start()
    return worker
  }

  /** A broker beside the others, which nobody has started. */
  addBroker(name: string, env: MemberSpec['env']): Member {
    return this.#member(name, ['services/broker/main.ts'], env)
  }

  /** Stops a worker as an orchestrator does; resolves with its exit code. */
  async removeWorker(worker: Member): Promise<number | null> {
    this.workers.splice(this.workers.indexOf(worker), 1)
    return worker.stop('SIGTERM')
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()))
  }

  /** Asks the API. */
  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.url}${path}`, { headers: { authorization: `Bearer ${this.token}` } })
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as T
  }

  /** As `get`; undefined while the API cannot be reached, or cannot answer (5xx), as may be after a fault. */
  async getIfThere<T>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path)
    } catch (error) {
      if (error instanceof TypeError || / answered 5\d\d/.test(String(error))) return undefined
      throw error
    }
  }

  #member(name: string, command: readonly string[], env: MemberSpec['env'] = {}): Member {
    const logFile = join(this.#plan.folder, `${name}.log`)
    const member = new Member({ name, command, env: { ...this.#env, ...env }, logFile, checkout: this.#plan.checkout })
    this.#members.push(member)
    return member
  }
}
