import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { ApiClient } from '../../shared/api-client.ts'
import { createAuthority, issueServer } from '../../shared/certificates/certificate-authority.ts'

const root = join(import.meta.dirname, '../..')

export interface StormService {
  readonly mqttPort: number
  readonly tlsPort: number
  readonly wsPort: number
  /** Certificate of the authority, PEM. */
  readonly authority: string
  readonly api: ApiClient
  /** Of the administrator. */
  readonly token: string
  /** User and system time of the process so far, in seconds. */
  cpuSeconds(): number
  /** Resident memory as it is now, in bytes. */
  residentBytes(): number
  /** Resident memory without garbage, in bytes: the least of some collections. Needs `collects`. */
  settledBytes(): Promise<number>
  /** Bytes that the process has read so far, from files too. */
  readBytes(): number
  /** Ends the process, if it has not ended yet. Resolves with its exit code; 128 and more for a signal. */
  stop(): Promise<number>
}

export interface StormOptions {
  /** The process collects its garbage when it gets SIGUSR2, which {@link StormService.settledBytes} sends. */
  readonly collects?: boolean
  /** Of Node. */
  readonly flags?: readonly string[]
  /** Each line that the process writes on stderr: its log, and its last words. */
  readonly onLine?: (line: string) => void
}

interface ReadyLine {
  readonly pid: number
  readonly mqtt: { readonly port: number }
  readonly tls: { readonly port: number }
  readonly ws: { readonly port: number }
  readonly http: { readonly port: number }
}

const CLOCK_TICKS = 100
/** What a signal adds to its number, for shells. */
const SIGNALLED = 128
/** Loaded before the service, which itself has nothing of the kind. The threads of the databases have heaps of their own. */
const COLLECT = `import { isMainThread } from 'node:worker_threads'
const collect = () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
const threads = new BroadcastChannel('collect')
threads.unref()
if (isMainThread) process.on('SIGUSR2', () => (threads.postMessage(0), collect()))
else threads.onmessage = collect`
const COLLECTOR = ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(COLLECT)}`]
/** Pages go back to the system some time after a collection: it is settled when so many changed nothing any more. */
const SETTLED_AFTER = 4
const MAX_COLLECTIONS = 40
const SETTLING_MS = 400
const UNCHANGED_BYTES = 500_000

/** The whole of Sluice in one process, with TLS and WebSocket, on free ports, with its data in a folder that goes with it. */
export async function startStormService(
  settings: Readonly<Record<string, string>> = {},
  { collects = false, flags = [], onLine = () => undefined }: StormOptions = {},
): Promise<StormService> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-storm-'))
  const { authority, certificate, key } = await writeCertificate(folder)
  const env = {
    ...process.env,
    ...{ DATA_DIR: folder, MQTT_PORT: '0', HTTP_PORT: '0', MQTT_TLS_PORT: '0', MQTT_WS_PORT: '0' },
    ...{ MQTT_TLS_CERT_FILE: certificate, MQTT_TLS_KEY_FILE: key, ...settings },
  }
  const node = ['--disable-warning=ExperimentalWarning', ...(collects ? COLLECTOR : []), ...flags]
  const args = [...node, join(root, 'services/cli/main.ts'), 'up']
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<number>((resolve) =>
    child.once('close', (code, signal) =>
      resolve(code ?? SIGNALLED + (signal === null ? 0 : constants.signals[signal])),
    ),
  )
  const stop = async (): Promise<number> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const code = await ended
    rmSync(folder, { recursive: true, force: true })
    return code
  }
  const ready = await readyLine(createInterface({ input: child.stderr }), onLine)
  if (ready === undefined) throw new Error(`the service ended with ${await stop()} before it was ready`)
  const { pid, mqtt, tls, ws, http } = ready
  const token = readFileSync(join(folder, 'admin-token'), 'utf8').trim()
  return {
    ...{
      mqttPort: mqtt.port,
      tlsPort: tls.port,
      wsPort: ws.port,
      authority,
      stop,
      residentBytes: () => residentBytes(pid),
      token,
    },
    api: new ApiClient({ url: `http://127.0.0.1:${http.port}`, token }),
    cpuSeconds: () => cpuSeconds(pid),
    readBytes: () => numberIn(`/proc/${pid}/io`, /^rchar:\s+(\d+)/m),
    async settledBytes() {
      let least = Infinity
      for (let all = 0, unchanged = 0; all < MAX_COLLECTIONS && unchanged < SETTLED_AFTER; all += 1) {
        process.kill(pid, 'SIGUSR2')
        await delay(SETTLING_MS)
        const now = residentBytes(pid)
        unchanged = now < least - UNCHANGED_BYTES ? 0 : unchanged + 1
        least = Math.min(least, now)
      }
      return least
    },
  }
}

/** The line that says so; undefined when the process ended before. The others go to `onLine`. */
function readyLine(lines: Interface, onLine: (line: string) => void): Promise<ReadyLine | undefined> {
  return new Promise((resolve) => {
    lines.on('close', () => resolve(undefined))
    lines.on('line', (line) => {
      if (line.includes('"msg":"ready"')) resolve(JSON.parse(line) as ReadyLine)
      else onLine(line)
    })
  })
}

/** A certificate of this host and its key as files in the folder, and that of its authority, PEM. */
export async function writeCertificate(
  folder: string,
): Promise<{ authority: string; certificate: string; key: string }> {
  const authority = await createAuthority('Benchmark', 1)
  const server = await issueServer(authority, ['localhost', '127.0.0.1'], 1)
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')]
  writeFileSync(certificate, server.certificate)
  writeFileSync(key, server.key, { mode: 0o600 })
  return { authority: authority.certificate, certificate, key }
}

/** Resident memory of a process. */
export function residentBytes(pid: number): number {
  return numberIn(`/proc/${pid}/status`, /^VmRSS:\s+(\d+)/m) * 1024
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS
}

function numberIn(file: string, pattern: RegExp): number {
  return Number(pattern.exec(readFileSync(file, 'utf8'))?.[1])
}
