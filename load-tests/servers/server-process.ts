import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer, connect, type AddressInfo, type Server } from 'node:net'

export interface ProcessSpec {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Where stdout and stderr go. */
  readonly logFile: string
  /** Resolves when the server answers; asked again until then. */
  readonly probe: () => Promise<boolean>
}

/** How long a server may take to answer after its start, on a machine that has other things to do as well. */
const READY_LIMIT_MS = 180_000
const PROBE_EVERY_MS = 50

/** One server process that can be killed and started again on the same data and ports. */
export class ServerProcess {
  readonly #spec: ProcessSpec
  #child: ChildProcess | undefined

  constructor(spec: ProcessSpec) {
    this.#spec = spec
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts the process and resolves when it answers; rejects when it exits before. */
  async start(): Promise<void> {
    const { name, command, args, env, logFile, probe } = this.#spec
    const child = spawn(command, [...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    const log = createWriteStream(logFile, { flags: 'a' })
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    child.once('close', () => log.end())
    const failed = Promise.withResolvers<never>()
    child.once('error', failed.reject)
    const onExit = (code: number | null) => failed.reject(new Error(`${name} exited with ${code}; see ${logFile}`))
    child.once('exit', onExit)
    try {
      await Promise.race([this.#answers(probe), failed.promise])
    } finally {
      child.off('exit', onExit)
    }
  }

  /** Sends the signal and resolves when the process is gone; resolves at once when it is not running. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }

  /** Stops the process from being scheduled (SIGSTOP), or lets it go on (SIGCONT): a server that hangs. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  async #answers(probe: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + READY_LIMIT_MS
    while (!(await probe())) {
      if (Date.now() > deadline) throw new Error(`${this.#spec.name} did not answer in ${READY_LIMIT_MS / 1000} s`)
      await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS))
    }
  }
}

/**
 * Below the ports that the system gives to connections: a server that is away for a minute would find its own taken by
 * somebody's connection, and could not come back.
 */
const PORTS = { first: 12_000, last: 32_000 } as const
/** Processes that start servers at the same time choose from ports of their own: vitest counts its own, and so do the lanes of the faults. */
const LANES = 8
const lane = (Number(process.env['VITEST_POOL_ID'] ?? 0) + Number(process.env['SLUICE_LANE'] ?? 0)) % LANES

/** Ports that nothing listens on at the moment, and that stay free while a server is away. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = []
  while (servers.length < count) {
    const own = (PORTS.last - PORTS.first) / LANES
    const server = await listen(PORTS.first + Math.floor((lane + Math.random()) * own))
    if (server !== undefined) servers.push(server)
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Undefined when somebody else listens there. */
async function listen(port: number): Promise<Server | undefined> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
    return server
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return undefined
  }
}

/** A probe: something accepts connections there. */
export function portAnswers(port: number): () => Promise<boolean> {
  return () =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
}
