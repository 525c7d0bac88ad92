import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ApiClient } from '../../../shared/api-client.ts'
import { startServer, type Server, type ServerOptions } from '../server.ts'

const root = join(import.meta.dirname, '../../..')
const run = promisify(execFile)

export interface Login {
  readonly username: string
  readonly secret: string
}

export interface Site {
  readonly server: Server
  readonly api: ApiClient
  readonly device: (name: string) => Promise<Login>
}

export async function openSite(options: ServerOptions = {}): Promise<Site> {
  const server = await startServer(options)
  const api = new ApiClient(server)
  return { server, api, device: (device) => api.post<Login>('/v1/devices', { tenant: 'demo', device }) }
}

/** `./sluice` with these arguments; what it printed as JSON. Rejects when it fails. */
export async function sluice(
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<Record<string, unknown>> {
  const { stdout } = await run(join(root, 'sluice'), [...args, '--json'], {
    cwd: root,
    env: { ...process.env, ...env },
  })
  return JSON.parse(stdout) as Record<string, unknown>
}

/** A backup of what runs, over its API. */
export function backUp({ url, token }: Server, file: string, ...args: string[]): Promise<Record<string, unknown>> {
  return sluice({ SLUICE_URL: url, SLUICE_TOKEN: token }, 'backup', file, ...args)
}

/** One reading a line, at QoS 1. Ends with 0 when all of them are acknowledged. */
export function mosquittoPub({ mqttPort }: Server, { username, secret }: Login): ChildProcess {
  const to = ['-p', String(mqttPort), '-u', username, '-P', secret, '-q', '1', '-t', `t/${username}/telemetry`]
  return spawn('mosquitto_pub', [...to, '-l'], { stdio: ['pipe', 'ignore', 'ignore'] })
}

/** Publishes readings with numbers and waits until each is acknowledged. */
export async function publishAll(server: Server, login: Login, numbers: readonly number[]): Promise<void> {
  const child = mosquittoPub(server, login)
  child.stdin?.end(numbers.map((n) => `${readingOf(n)}\n`).join(''))
  const [code] = (await once(child, 'close')) as [number]
  if (code !== 0) throw new Error(`mosquitto_pub ended with ${code}`)
}

export const FIRST_MS = 1_790_000_000_000

export function readingOf(n: number): string {
  return JSON.stringify({ ts: FIRST_MS + n, n })
}

/** All numbers of a device, in the order in which they are answered. */
export async function numbersOf(api: ApiClient, device: string): Promise<number[]> {
  const found: number[] = []
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const query = { field: 'n', from: String(FIRST_MS), limit: 10_000, cursor }
    const answer = await api.get<{ series: { points: [number, number][] }[]; next: string | null }>(
      `/v1/devices/demo/${device}/readings`,
      query,
    )
    found.push(...answer.series.flatMap(({ points }) => points.map(([, value]) => value)))
    cursor = answer.next ?? undefined
  }
  return found
}
