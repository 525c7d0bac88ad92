/**
 * Sluice's broker beside Mosquitto, in one run: CPU-seconds per million messages and system calls per message, by QoS and
 * messages in flight, plain and over TLS. Both check logins and topics (ACL); neither has subscribers. Sluice's log
 * answers at once, Mosquitto drops what nobody wants: what is compared is the way in, and its acknowledgements.
 *
 *     node load-tests/bench/broker.ts [sluice] [mosquitto] [--messages 200000] [--no-strace] [--json]
 *
 * Connections are made before the count begins. The load comes from a process of its own. Absolute figures wobble with
 * the machine; compare rows of one run.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createAuthority, issueServer } from '../../shared/certificates/certificate-authority.ts'
import { textTable } from '../../shared/text-table.ts'
import { startMosquitto } from '../servers/mosquitto.ts'
import { startNullLogBroker } from '../brokers/null-log-broker.ts'
import { countSystemCalls } from '../brokers/system-calls.ts'
import { loginOf, WindowClient, type CertificateFiles, type LoadSpec } from '../brokers/window-client.ts'
import { CpuMeter } from '../cluster/process-cpu.ts'

interface Row {
  readonly name: string
  readonly qos: 0 | 1 | 2
  readonly clients: number
  readonly inFlight: number
  readonly tls: boolean
}

interface Broker {
  readonly name: string
  readonly pid: number
  readonly port: number
  readonly tlsPort: number
  readonly authorityFile: string
  stop(): Promise<void>
}

interface Measured {
  readonly broker: string
  readonly load: string
  readonly cpu: number
  readonly callsPerMessage: number | undefined
  readonly messagesPerSecond: number
}

const KINDS: readonly Omit<Row, 'tls'>[] = [
  { name: 'QoS 1, 200 clients, 1 in flight', qos: 1, clients: 200, inFlight: 1 },
  { name: 'QoS 1, 100 clients, 16 in flight', qos: 1, clients: 100, inFlight: 16 },
  { name: 'QoS 2, 100 clients, 16 in flight', qos: 2, clients: 100, inFlight: 16 },
  { name: 'QoS 0, 100 clients, 16 per write', qos: 0, clients: 100, inFlight: 16 },
]
const ROWS: readonly Row[] = KINDS.flatMap((kind) => [
  { ...kind, tls: false },
  { ...kind, name: `${kind.name}, TLS`, tls: true },
])
const MOST_CLIENTS = 200
/** Of a run that only counts system calls. */
const TRACED_MESSAGES = 10_000

async function issueCertificate(folder: string): Promise<CertificateFiles> {
  const authority = await createAuthority('Benchmark', 1)
  const server = await issueServer(authority, ['localhost', '127.0.0.1'], 1)
  const files = {
    certificateFile: join(folder, 'server.pem'),
    keyFile: join(folder, 'server.key'),
    authorityFile: join(folder, 'ca.pem'),
  }
  writeFileSync(files.certificateFile, server.certificate)
  writeFileSync(files.keyFile, server.key, { mode: 0o600 })
  writeFileSync(files.authorityFile, authority.certificate)
  return files
}

async function startSluice(tls: CertificateFiles): Promise<Broker> {
  const child = forkSelf(['serve', JSON.stringify(tls)])
  const ports = await message<{ port: number; tlsPort: number }>(child)
  const stop = async () => {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  return { name: 'sluice', pid: child.pid ?? 0, ...ports, authorityFile: tls.authorityFile, stop }
}

async function startOther(folder: string, tls: CertificateFiles): Promise<Broker> {
  const mosquitto = await startMosquitto(folder, {
    logins: Array.from({ length: MOST_CLIENTS }, (_, index) => loginOf(index)),
    acl: ['pattern write t/%u/#'],
    settings: ['set_tcp_nodelay true', 'max_inflight_messages 1000'],
    tls,
  })
  const { port, tlsPort = 0, process: server } = mosquitto
  return {
    name: 'mosquitto',
    pid: server.pid ?? 0,
    port,
    tlsPort,
    authorityFile: tls.authorityFile,
    stop: () => mosquitto.stop(),
  }
}

/** Connects a load to the broker, and gives `measure` what sends it. */
async function withLoad(
  broker: Broker,
  row: Row,
  messages: number,
  measure: (send: () => Promise<void>) => Promise<void>,
) {
  const port = row.tls ? broker.tlsPort : broker.port
  const spec: LoadSpec = { ...row, port, messages, ...(row.tls ? { authorityFile: broker.authorityFile } : {}) }
  const child = forkSelf(['load', JSON.stringify(spec)])
  const gone = once(child, 'exit')
  await message(child)
  await measure(async () => {
    child.send('go')
    await message(child)
  })
  child.send('end')
  await gone
}

async function measureRow(broker: Broker, row: Row, wanted: number, trace: boolean): Promise<Measured> {
  const messages = wholeWindows(row, wanted)
  await withLoad(broker, row, wholeWindows(row, wanted / 10), (send) => send())
  let [cpu, seconds] = [0, 0]
  await withLoad(broker, row, messages, async (send) => {
    const meter = new CpuMeter({ broker: [broker.pid] })
    const begun = performance.now()
    await send()
    seconds = (performance.now() - begun) / 1000
    cpu = meter.used()['broker'] ?? 0
  })
  let calls: number | undefined
  const traced = wholeWindows(row, TRACED_MESSAGES)
  if (trace) {
    await withLoad(broker, row, traced, async (send) => {
      calls = await countSystemCalls(broker.pid, send)
    })
  }
  return {
    broker: broker.name,
    load: row.name,
    cpu: (cpu / messages) * 1e6,
    callsPerMessage: calls === undefined ? undefined : calls / traced,
    messagesPerSecond: messages / seconds,
  }
}

/** About as many messages, the same whole number of windows for each client. */
function wholeWindows({ clients, inFlight }: Row, messages: number): number {
  return Math.ceil(messages / clients / inFlight) * inFlight * clients
}

function forkSelf(args: readonly string[]): ChildProcess {
  return fork(import.meta.filename, [...args], { execArgv: ['--disable-warning=ExperimentalWarning'] })
}

/** The next message of a child; rejects when it ends before. */
async function message<T = unknown>(child: ChildProcess): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onExit = (code: number | null) => reject(new Error(`a process of the benchmark ended with ${code}`))
  child.once('exit', onExit)
  // What this file sends itself.
  child.once('message', (value) => resolve(value as T))
  const value = await promise
  child.off('exit', onExit)
  return value
}

/** The child that is the load: connects, says so, sends when it is told to, and ends when it is told to. */
async function runLoad(spec: LoadSpec): Promise<void> {
  const clients = await Promise.all(
    Array.from({ length: spec.clients }, (_, index) => WindowClient.connect(spec, index)),
  )
  process.send?.('connected')
  await once(process, 'message')
  await Promise.all(clients.map((client) => client.send(spec.messages / spec.clients)))
  process.send?.('sent')
  await once(process, 'message')
  await Promise.all(clients.map((client) => client.close()))
  process.disconnect?.()
}

async function compare(folder: string, certificate: CertificateFiles): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      strace: { type: 'boolean', default: true },
      messages: { type: 'string', default: '200000' },
    },
    allowNegative: true,
  })
  const isWanted = (name: string) => positionals.length === 0 || positionals.includes(name)
  const measured: Measured[] = []
  const brokers: Broker[] = []
  try {
    if (isWanted('sluice')) brokers.push(await startSluice(certificate))
    if (isWanted('mosquitto')) brokers.push(await startOther(folder, certificate))
    for (const row of ROWS) {
      for (const broker of brokers) {
        process.stderr.write(`${broker.name}: ${row.name}\n`)
        measured.push(await measureRow(broker, row, Number(values.messages), values.strace))
      }
    }
  } finally {
    for (const broker of brokers) await broker.stop()
  }
  const rows = measured.map(({ broker, load, cpu, callsPerMessage, messagesPerSecond }) => [
    ...[
      load,
      broker,
      cpu.toFixed(2),
      callsPerMessage?.toFixed(2) ?? '',
      Math.round(messagesPerSecond).toLocaleString('en'),
    ],
  ])
  const table = () => textTable(['load', 'broker', 'CPU-s/M', 'system calls a message', 'messages/s'], rows)
  console.log(values.json ? JSON.stringify(measured, undefined, 2) : table())
}

const [role, text = ''] = process.argv.slice(2)
if (role === 'load') {
  await runLoad(JSON.parse(text) as LoadSpec)
} else if (role === 'serve') {
  const { addresses } = await startNullLogBroker(JSON.parse(text) as CertificateFiles)
  process.send?.({ port: addresses.mqtt.port, tlsPort: addresses.tls?.port })
} else {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  try {
    await compare(folder, await issueCertificate(folder))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
