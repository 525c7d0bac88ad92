import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { tempFolder } from '../helpers.ts'

const root = join(import.meta.dirname, '../..')

export interface ServerOptions {
  /** Composition root to run; the product's own by default, `test/variants/*.ts` for a known-wrong one. */
  readonly entry?: string
  readonly folder?: string
  /** Where the folder is seen from here, when only the process sees it there. */
  readonly seenAt?: string
  readonly env?: Readonly<Record<string, string>>
  /** Fixed ports, so that clients find a restarted server; free ones by default. */
  readonly mqttPort?: number
  readonly httpPort?: number
  /** Runs node under another command, such as strace. */
  readonly wrapper?: readonly string[]
}

export interface Server {
  readonly folder: string
  readonly mqttPort: number
  readonly httpPort: number
  readonly url: string
  readonly token: string
  readonly child: ChildProcess
  /** Process id of node itself, also under a wrapper. */
  readonly pid: number
  /** Everything printed for people so far. */
  readonly stdout: () => string
  readonly log: () => string
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null>
}

/** Starts a server process and waits until it says that it is ready. It is killed at the end of the test. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const folder = options.folder ?? tempFolder()
  const entry = join(root, options.entry ?? 'services/cli/main.ts')
  const node = [join(root, 'node_modules/.bin/node'), '--disable-warning=ExperimentalWarning', entry, 'up']
  const [command = '', ...args] = [...(options.wrapper ?? []), ...node]
  const env = {
    ...process.env,
    DATA_DIR: folder,
    MQTT_PORT: String(options.mqttPort ?? 0),
    HTTP_PORT: String(options.httpPort ?? 0),
    ...options.env,
  }
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = async (signal: 'SIGKILL' | 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      process.kill(pid(), signal)
      await gone
    }
    return child.exitCode
  }
  onTestFinished(async () => {
    await kill('SIGKILL')
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  const ready = await readyLine(child, output)
  const pid = () => ready.pid
  return {
    folder,
    mqttPort: ready.mqtt.port,
    httpPort: ready.http.port,
    url: `http://127.0.0.1:${ready.http.port}`,
    token: readFileSync(join(options.seenAt ?? folder, 'admin-token'), 'utf8').trim(),
    child,
    pid: ready.pid,
    stdout: () => output.stdout,
    log: () => output.stderr,
    kill,
  }
}

/** A metric without labels, as the server tells it. */
export async function metricOf({ url, token }: Pick<Server, 'url' | 'token'>, name: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` }
  const text = await (await fetch(`${url}/metrics`, { headers })).text()
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  return Number(line?.split(' ').at(-1))
}

interface ReadyLine {
  readonly msg: 'ready'
  readonly pid: number
  readonly mqtt: { readonly port: number }
  readonly http: { readonly port: number }
}

function readyLine(child: ChildProcess, output: { stderr: string }): Promise<ReadyLine> {
  const { promise, resolve, reject } = Promise.withResolvers<ReadyLine>()
  if (child.stderr === null) throw new Error('stderr is not piped')
  const lines = createInterface({ input: child.stderr })
  lines.on('line', (line) => {
    output.stderr += `${line}\n`
    if (line.startsWith('{') && line.includes('"msg":"ready"')) resolve(JSON.parse(line) as ReadyLine)
  })
  child.once('error', reject)
  child.once('exit', (code) =>
    reject(new Error(`the server exited with ${code} before it was ready:\n${output.stderr}`)),
  )
  return promise
}
