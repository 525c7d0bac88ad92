import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePorts } from '../servers/server-process.ts'

const root = join(import.meta.dirname, '../..')

export interface MemberSpec {
  readonly name: string
  /** Composition root, `services/*` or a variant, and what follows it on the command line. */
  readonly command: readonly string[]
  /** Undefined unsets one. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where its log goes. */
  readonly logFile: string
  /** Where its code is; this checkout unless given. */
  readonly checkout?: string | undefined
}

interface ReadyLine {
  readonly pid: number
  readonly operations: number
  readonly mqtt?: { readonly port: number }
  readonly tls?: { readonly port: number }
  readonly http?: { readonly port: number }
}

/** One process of the cluster, which can be killed and started again on the same ports. */
export class Member {
  readonly #spec: MemberSpec
  #child: ChildProcess | undefined
  #ready: ReadyLine | undefined
  #closed = false
  /** Who waits for a line. */
  #awaited: { readonly text: string; readonly resolve: (line: string) => void }[] = []
  /** Of MQTT, HTTP, MQTT over TLS and operations; the same in every life. */
  #ports: readonly number[] | undefined
  /** Where its code is, in its next life. */
  #checkout: string

  constructor(spec: MemberSpec) {
    this.#spec = spec
    this.#checkout = spec.checkout ?? root
  }

  get name(): string {
    return this.#spec.name
  }

  /** Of its present life. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** What it said when it was last ready. */
  get ready(): ReadyLine {
    if (this.#ready === undefined) throw new Error(`${this.name} has never been ready`)
    return this.#ready
  }

  /** Starts the process and resolves when it says that it is ready; rejects when it ends before. */
  async start(command = this.#spec.command): Promise<void> {
    const { name, env, logFile } = this.#spec
    if (this.#closed) throw new Error(`${name} is not started after the end of its test`)
    const [entry = '', ...args] = command
    const node = ['--disable-warning=ExperimentalWarning', join(this.#checkout, entry), ...args]
    this.#ports ??= await freePorts(4)
    const [MQTT_PORT, HTTP_PORT, MQTT_TLS_PORT, OPS_PORT] = this.#ports.map(String)
    const ports = { MQTT_PORT, HTTP_PORT, MQTT_TLS_PORT, OPS_PORT }
    const child = spawn(join(this.#checkout, 'node_modules/.bin/node'), node, {
      env: { ...process.env, ...env, ...ports },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    const ready = Promise.withResolvers<ReadyLine>()
    const log = createWriteStream(logFile, { flags: 'a' })
    child.once('close', () => log.end())
    const lines = createInterface({ input: child.stderr })
    let last = ''
    lines.on('line', (line) => {
      last = line
      log.write(`${line}\n`)
      this.#heard(line)
      if (line.includes('"msg":"ready"')) ready.resolve(JSON.parse(line) as ReadyLine)
    })
    // When it has said all.
    child.once('close', (code, signal) => ready.reject(new Error(`${name} ended with ${code ?? signal}: ${last}`)))
    this.#ready = await ready.promise
  }

  /** Stops it as an orchestrator does, and starts this checkout's code in its place; resolves when that is ready. */
  async replace(): Promise<void> {
    await this.stop('SIGTERM')
    this.#checkout = root
    await this.start()
  }

  /** Sends the signal and resolves with the exit code when the process is gone. */
  async stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const gone = this.gone()
    this.#child?.kill(signal)
    return gone
  }

  /** Kills the process, and never starts it again: a fault may outlive a test that failed. */
  async close(): Promise<void> {
    this.#closed = true
    await this.stop('SIGKILL')
  }

  /** Resolves with the next line that it writes and that holds this text. */
  says(text: string): Promise<string> {
    return new Promise((resolve) => this.#awaited.push({ text, resolve }))
  }

  /** SIGSTOP: the process hangs; SIGCONT: it goes on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void {
    this.#child?.kill(signal)
  }

  /** Resolves when the process has ended, with its exit code; null after a signal. */
  async gone(): Promise<number | null> {
    const child = this.#child
    if (child === undefined) return null
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    return child.exitCode
  }

  /** What `/readyz` answers. */
  async readiness(): Promise<{
    ready: boolean
    checks: { name: string; ok: boolean; shared?: true; detail?: string }[]
  }> {
    const response = await fetch(`http://127.0.0.1:${this.ready.operations}/readyz`)
    return (await response.json()) as Awaited<ReturnType<Member['readiness']>>
  }

  /** The sum of a metric over its labels; of one child when the name has its labels. */
  async metric(name: string): Promise<number> {
    return (await this.metrics([name])).get(name) ?? 0
  }

  /** The same of several at one moment. */
  async metrics(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`http://127.0.0.1:${this.ready.operations}/metrics`)
    const lines = (await response.text()).split('\n')
    return new Map(
      names.map((name) => {
        const own = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
        return [name, own.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)]
      }),
    )
  }

  #heard(line: string): void {
    for (const { resolve } of this.#awaited.filter(({ text }) => line.includes(text))) resolve(line)
    this.#awaited = this.#awaited.filter(({ text }) => !line.includes(text))
  }
}
