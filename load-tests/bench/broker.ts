/**
 * CPU-seconds of the broker per million messages, with a log that answers at once: what the gate itself costs.
 * The load comes from a process of its own, over raw sockets: `node load-tests/bench/broker.ts [messages]`.
 * Absolute figures wobble with the machine; compare rows of one run.
 */
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { pino } from 'pino'
import { brokerSettings } from '../../config/broker.ts'
import { createBroker } from '../../services/broker/broker.ts'
import { createReceiveClock } from '../../shared/receive-clock.ts'
import { loadConfig } from '../../shared/config.ts'
import type { TelemetryLog } from '../../shared/log/port.ts'
import { createMetrics } from '../../shared/metrics.ts'
import type { Registry } from '../../shared/registry/port.ts'

interface Row {
  readonly name: string
  readonly qos: number
  readonly clients: number
  readonly inFlight: number
}

const ROWS: readonly Row[] = [
  { name: 'QoS 1, 200 clients, one in flight', qos: 1, clients: 200, inFlight: 1 },
  { name: 'QoS 1, 100 clients, 16 in flight', qos: 1, clients: 100, inFlight: 16 },
  { name: 'QoS 2, 100 clients, 16 in flight', qos: 2, clients: 100, inFlight: 16 },
  { name: 'QoS 0, 100 clients, 16 per write', qos: 0, clients: 100, inFlight: 16 },
]

const PAYLOAD = JSON.stringify({ temperature: 21.5, humidity: 40.25, pressure: 1013.2, battery: 3.71, seq: 1234567 })

async function serve(messages: number): Promise<void> {
  let appended = 0
  const log = {
    partitions: 1,
    partitionOf: () => 0,
    append: async (_topic: string, records: readonly unknown[]) => {
      appended += records.length
      return new Map([[0, 0]])
    },
  } as unknown as TelemetryLog
  const registry = {
    verifySecret: async (username: string) => {
      const [tenant = '', device = ''] = username.split('/')
      return { kind: 'device', name: username, tenant, device }
    },
    onChange: () => () => undefined,
  } as unknown as Registry
  const settings = { ...loadConfig(brokerSettings, {}), MQTT_PORT: 0 }
  const logger = pino({ level: 'silent' })
  const metrics = createMetrics({ defaults: false })
  const broker = await createBroker({ log, registry, clock: createReceiveClock(undefined), settings, logger, metrics })
  const { port } = broker.addresses.mqtt
  for (const row of ROWS) {
    await load(port, row, Math.ceil(messages / 10))
    appended = 0
    const cpu = process.cpuUsage()
    const begun = performance.now()
    await load(port, row, messages)
    const seconds = (performance.now() - begun) / 1000
    const { user, system } = process.cpuUsage(cpu)
    console.log(
      `${row.name.padEnd(36)} ${((user + system) / appended).toFixed(2).padStart(6)} CPU-s/M ` +
        `(user ${(user / appended).toFixed(2)}, system ${(system / appended).toFixed(2)}) ` +
        `${Math.round(appended / seconds).toLocaleString('en')} messages/s, ${appended} in the log`,
    )
  }
  await broker.close()
}

/** Runs this file as the load; resolves when all its messages are acknowledged (QoS 0: sent and answered by a PING). */
function load(port: number, row: Row, messages: number): Promise<void> {
  const args = [import.meta.filename, 'load', ...[port, row.qos, row.clients, row.inFlight, messages].map(String)]
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`the load ended with ${code}`))))
  })
}

async function runLoad(port: number, qos: number, clients: number, inFlight: number, messages: number): Promise<void> {
  const each = Math.ceil(messages / clients)
  await Promise.all(
    Array.from({ length: clients }, (_, index) => runClient(port, qos, `bench/${index}`, inFlight, each)),
  )
}

function runClient(port: number, qos: number, username: string, inFlight: number, messages: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value)
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
  }
  const frame = (header: number, body: Buffer): Buffer => {
    const length = body.length < 128 ? [body.length] : [(body.length & 0x7f) | 0x80, body.length >> 7]
    return Buffer.concat([Buffer.from([header, ...length]), body])
  }
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0xc2, 0, 0])
  socket.write(frame(0x10, Buffer.concat([head, text('bench'), text(username), text('s')])))
  const publish = (id: number): Buffer => {
    const idBytes = qos === 0 ? Buffer.alloc(0) : Buffer.from([id >> 8, id & 0xff])
    return frame(0x30 | (qos << 1), Buffer.concat([text(`t/${username}/telemetry`), idBytes, Buffer.from(PAYLOAD)]))
  }
  const batch = Buffer.concat(Array.from({ length: inFlight }, (_, index) => publish(index + 1)))
  const release = Buffer.concat(Array.from({ length: inFlight }, (_, index) => Buffer.from([0x62, 2, 0, index + 1])))
  return new Promise((resolve, reject) => {
    // A window of messages goes out when the last one is answered whole: 4 bytes an answer, 2 for a PING's.
    let phase: 'connack' | 'acks' | 'comps' = 'connack'
    let wanted = 4
    let sent = 0
    const next = (): void => {
      if (phase === 'acks' && qos === 2) {
        phase = 'comps'
        wanted = 4 * inFlight
        socket.write(release)
        return
      }
      if (sent >= messages) {
        socket.end(Buffer.from([0xe0, 0]))
        return
      }
      phase = 'acks'
      sent += inFlight
      wanted = qos === 0 ? 2 : 4 * inFlight
      socket.write(qos === 0 ? Buffer.concat([batch, Buffer.from([0xc0, 0])]) : batch)
    }
    socket.on('data', (chunk: Buffer) => {
      wanted -= chunk.length
      if (wanted === 0) next()
    })
    socket.once('error', reject)
    socket.once('close', () => (sent >= messages ? resolve() : reject(new Error('the broker closed the connection'))))
  })
}

const [first, ...rest] = process.argv.slice(2)
if (first === 'load') {
  const [port = 0, qos = 0, clients = 0, inFlight = 0, messages = 0] = rest.map(Number)
  await runLoad(port, qos, clients, inFlight, messages)
} else {
  await serve(Number(first ?? 200_000))
}
