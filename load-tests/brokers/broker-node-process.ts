import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { connectPacket } from '../../shared/mqtt/client-packets.ts'

export interface NodeReport {
  /** CPU seconds so far. */
  readonly cpu: number
  /** Open connections; sessions of this node as Redis has been told; clients that aedes knows. */
  readonly clients: number
  readonly sessions: number
  readonly known: number
}

/** A broker node as a process of its own: load-tests/brokers/broker-node.ts. */
export class BrokerNode {
  readonly port: number
  readonly #child: ChildProcess
  readonly #lines: Interface

  private constructor(child: ChildProcess, lines: Interface, port: number) {
    this.#child = child
    this.#lines = lines
    this.port = port
  }

  static async start(url: string, id: string): Promise<BrokerNode> {
    const script = new URL('./broker-node.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [script, url, id], { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })
    const [line] = (await once(lines, 'line', { signal: AbortSignal.timeout(30_000) })) as [string]
    return new BrokerNode(child, lines, Number(line.split(' ')[1]))
  }

  async report(): Promise<NodeReport> {
    const line = once(this.#lines, 'line', { signal: AbortSignal.timeout(30_000) })
    this.#child.stdin?.write('\n')
    const [text] = (await line) as [string]
    return JSON.parse(text) as NodeReport
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exited
  }
}

/** CONNECT of one of the node's logins, with a client id of the login's name. */
export function connectToNode(username: string, cleanSession = true): Buffer {
  const clientId = username.replace('/', '-')
  return connectPacket({ clientId, username, password: 's', keepAliveSeconds: 0, cleanSession })
}
