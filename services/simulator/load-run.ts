import { SluiceError, toSluiceError } from '../../shared/errors.ts'
import { DEFAULT_STREAM, formatTelemetryTopic } from '../../shared/topics.ts'
import type { FleetDevice } from './fleet.ts'
import { ConnectionQueue } from './mqtt/connection-queue.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import type { Ledger } from './verification/ledger.ts'
import { createReadBuffer, MqttLoadClient } from './mqtt/load-client.ts'
import type { Disconnect, LoadEvents } from './mqtt/load-events.ts'
import type { QoS } from '../../shared/mqtt/client-packets.ts'
import type { Workload } from './workload.ts'

export interface LoadRunOptions {
  readonly host: string
  readonly port: number
  readonly devices: readonly FleetDevice[]
  readonly workload: Workload
  /** Readings per second over all devices; 0 = as fast as the acknowledgements allow. */
  readonly rate: number
  readonly qos: QoS
  readonly inflight: number
  /** Written while the run goes on; undefined when nothing is to be verified. */
  readonly ledger?: Ledger | undefined
  /** Told of each acknowledgement; for samples. */
  readonly onAcknowledged?: (device: number, sequence: number, sentAt: number) => void
}

export interface LoadStats {
  readonly online: number
  readonly sent: number
  readonly acknowledged: number
  readonly resent: number
  /** Connections that were lost after they had been made. */
  readonly connectionsLost: number
  /** Acknowledgements that came out of the order of their messages [MQTT-4.6.0-2]. */
  readonly outOfOrder: number
  /** Readings that were due and have not been sent. */
  readonly behind: number
}

const TICK_MS = 5
const KEEP_ALIVE_SECONDS = 60
const IDLE_MS = 20_000
const GOODBYE_MS = 2_000
/** CONNACK codes that trying again does not change: version, client id, login, rights. */
const FINAL_REFUSALS = new Set([1, 2, 4, 5])

/**
 * Devices that send a workload at a common rate. A lost connection is made again, and what was not acknowledged is sent
 * again; readings that become due meanwhile wait, as in a device that stores and forwards.
 */
export class LoadRun {
  /** From the first copy to its acknowledgement. */
  readonly latency = new LatencyHistogram()
  readonly #options: LoadRunOptions
  readonly #clients: MqttLoadClient[]
  readonly #queue: ConnectionQueue
  readonly #lastAcknowledged: Int32Array
  readonly #wasOnline: Uint8Array
  readonly #ready = Promise.withResolvers<void>()
  readonly #failed = Promise.withResolvers<never>()
  readonly #counts = { online: 0, sent: 0, acknowledged: 0, resent: 0, connectionsLost: 0, outOfOrder: 0 }
  #timer: NodeJS.Timeout | undefined
  #startedAt: number | undefined
  #due = 0
  #neverOnline: number
  #keepAliveAt = 0
  #lastTrouble: string | undefined

  constructor(options: LoadRunOptions) {
    const count = options.devices.length
    this.#options = options
    this.#lastAcknowledged = new Int32Array(count).fill(-1)
    this.#wasOnline = new Uint8Array(count)
    this.#neverOnline = count
    const events = this.#events()
    const readBuffer = createReadBuffer()
    this.#clients = options.devices.map((device, index) => createClient(options, device, index, { events, readBuffer }))
    this.#queue = new ConnectionQueue(count, (index) => this.#clients[index]?.connect())
    // Whoever waits on the run sees the rejection; before anybody does, it is not unhandled.
    this.#failed.promise.catch(() => this.stop())
  }

  get stats(): LoadStats {
    return { ...this.#counts, behind: Number.isFinite(this.#due) ? this.#due - this.#counts.sent : 0 }
  }

  /** Rejects when the run cannot go on (`login_failed`, `command_failed`); never resolves. */
  get failed(): Promise<never> {
    return this.#failed.promise
  }

  /** Why a connection was last lost or not made. */
  get lastTrouble(): string | undefined {
    return this.#lastTrouble
  }

  /** True when the workload has an end and all of it was sent. */
  get exhausted(): boolean {
    return this.#counts.sent >= this.#options.workload.length * this.#clients.length
  }

  /** Messages that are not finished. */
  get open(): number {
    return this.#clients.reduce((sum, client) => sum + client.open, 0)
  }

  /** Resolves when every device was connected once. Error: `login_failed`. */
  async connect(): Promise<void> {
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#queue.start()
    await Promise.race([this.#ready.promise, this.#failed.promise])
  }

  /** Starts to send. */
  start(): void {
    this.#startedAt = performance.now()
    this.#tick()
  }

  /** No first copies from here on; what is in flight goes on until it is acknowledged. */
  stop(): void {
    this.#startedAt = undefined
    for (const client of this.#clients) client.allow(client.next)
  }

  /** Says goodbye and closes every socket. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#queue.close()
    const limit = setTimeout(() => this.#clients.forEach((client) => client.destroy()), GOODBYE_MS)
    await Promise.all(this.#clients.map((client) => client.close()))
    clearTimeout(limit)
  }

  #tick(): void {
    const now = performance.now()
    if (this.#startedAt !== undefined) this.#allowDue(now - this.#startedAt)
    if (now < this.#keepAliveAt) return
    this.#keepAliveAt = now + 1000
    for (const client of this.#clients) client.keepAlive(now, IDLE_MS)
  }

  /** Reading number m of the run belongs to device m modulo their number. */
  #allowDue(elapsedMs: number): void {
    const { rate, workload } = this.#options
    const count = this.#clients.length
    const end = workload.length * count
    const due = rate <= 0 ? end : Math.min(end, Math.floor((elapsedMs * rate) / 1000))
    const before = this.#due
    if (due === before) return
    this.#due = due
    for (let step = 0; step < Math.min(count, due - before); step += 1) {
      const device = (before + step) % count
      this.#clients[device]?.allow(Math.ceil((due - device) / count))
    }
  }

  #events(): LoadEvents {
    const { ledger, onAcknowledged } = this.#options
    return {
      sent: (device, sequence) => {
        this.#counts.sent += 1
        this.#orFail(() => ledger?.markSent(device, sequence))
      },
      acknowledged: (device, sequence, sentAt, now) => {
        this.#counts.acknowledged += 1
        this.latency.add(now - sentAt)
        if (sequence < (this.#lastAcknowledged[device] ?? -1)) this.#counts.outOfOrder += 1
        this.#lastAcknowledged[device] = sequence
        this.#orFail(() => ledger?.markAcknowledged(device, sequence, now))
        onAcknowledged?.(device, sequence, sentAt)
      },
      resent: () => (this.#counts.resent += 1),
      connected: (device) => this.#onConnected(device),
      disconnected: (device, reason) => this.#onDisconnected(device, reason),
    }
  }

  #orFail(mark: () => void): void {
    try {
      mark()
    } catch (error) {
      this.#failed.reject(toSluiceError(error))
    }
  }

  #onConnected(device: number): void {
    this.#counts.online += 1
    this.#queue.connected(device)
    if (this.#wasOnline[device] === 1) return
    this.#wasOnline[device] = 1
    this.#neverOnline -= 1
    if (this.#neverOnline === 0) this.#ready.resolve()
  }

  #onDisconnected(device: number, reason: Disconnect): void {
    this.#lastTrouble = reason.detail
    if (reason.wasOnline) {
      this.#counts.online -= 1
      this.#counts.connectionsLost += 1
    }
    if (reason.refusal !== undefined && FINAL_REFUSALS.has(reason.refusal)) {
      const who = this.#options.devices[device]?.username
      return this.#failed.reject(new SluiceError('login_failed', `${who}: ${reason.detail}`))
    }
    this.#queue.failed(device)
  }
}

function createClient(
  { host, port, qos, inflight, workload }: LoadRunOptions,
  { tenant, device: name, username, secret }: FleetDevice,
  index: number,
  shared: { events: LoadEvents; readBuffer: Buffer },
): MqttLoadClient {
  const topic = formatTelemetryTopic({ tenant, device: name, stream: DEFAULT_STREAM })
  const login = { clientId: username, username, password: secret, keepAliveSeconds: KEEP_ALIVE_SECONDS }
  const payload = (device: number, sequence: number) => workload.payload(device, sequence)
  return new MqttLoadClient({ device: index, host, port, login, topic, qos, inflight, payload, ...shared })
}
