import { setTimeout as delay } from 'node:timers/promises'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import type { FleetDevice } from '../../../services/simulator/fleet.ts'

export interface FleetOptions {
  readonly port: number
  /** With it: over TLS. */
  readonly ca?: string
  readonly devices: readonly FleetDevice[]
  /** May publish commands. */
  readonly application: { readonly username: string; readonly secret: string }
}

/** Clients that begin at the same time. */
const AT_ONCE = 50
const COMMAND_EVERY_MS = 20
const COMMANDS_AT_ONCE = 10
const RECONNECT_MS = 1_000
const LOOK_EVERY_MS = 50
/** Beyond it nobody comes back any more. */
const BACK_LIMIT_MS = 60_000

/**
 * Devices with persistent sessions that get commands at QoS 1, by clients that we did not write, half of them with MQTT 5;
 * and the application that sends the commands. All of them come back by themselves.
 */
export class CommandedFleet {
  /** Commands that the broker acknowledged to the application, `{device} {number}`. */
  readonly acknowledged = new Set<string>()
  /** Commands that devices got. */
  readonly received = new Set<string>()
  /** Beside connections that end. */
  readonly errors: string[] = []
  /** How long devices were away, in milliseconds. */
  readonly absences: number[] = []
  readonly clients: MqttClient[] = []
  #application: MqttClient | undefined
  #isSending = false
  #senders: Promise<void>[] = []

  /** Resolves when every device has subscribed. */
  static async start(options: FleetOptions): Promise<CommandedFleet> {
    const fleet = new CommandedFleet()
    const left = options.devices.entries()
    const next = async (): Promise<void> => {
      for (const [index, device] of left) await fleet.#join(options, device, index)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, next))
    const { username, secret: password } = options.application
    fleet.#application = await mqtt.connectAsync({ ...common(options), clientId: 'commander', username, password })
    fleet.#application.on('error', (error) => fleet.errors.push(`the application: ${error.message}`))
    return fleet
  }

  get online(): number {
    return this.clients.filter((client) => client.connected).length
  }

  /** Sends commands to all devices in turn until `stopSending`. */
  send(devices: readonly FleetDevice[]): void {
    this.#isSending = true
    const one = async (sender: number): Promise<void> => {
      for (let number = sender; this.#isSending; number += COMMANDS_AT_ONCE) {
        const { username } = devices[number % devices.length] ?? { username: '' }
        // Whatever happens to the connection, the client sends it until it is acknowledged.
        await this.#application?.publishAsync(`t/${username}/cmd/go`, String(number), { qos: 1 })
        this.acknowledged.add(`${username} ${number}`)
        await delay(COMMAND_EVERY_MS)
      }
    }
    this.#senders = Array.from({ length: COMMANDS_AT_ONCE }, (_, sender) => one(sender))
  }

  /** Resolves when every command that was sent is acknowledged. */
  async stopSending(): Promise<void> {
    this.#isSending = false
    await Promise.all(this.#senders)
  }

  /** Acknowledged commands that no device got. */
  get missing(): string[] {
    return [...this.acknowledged].filter((command) => !this.received.has(command))
  }

  /** Resolves when every device is online; rejects when that takes too long, with what they were told. */
  async allBack(): Promise<void> {
    const limit = performance.now() + BACK_LIMIT_MS
    while (this.online < this.clients.length) {
      if (performance.now() > limit) throw new Error(`${this.online} are online: ${this.errors.slice(-5).join('; ')}`)
      await delay(LOOK_EVERY_MS)
    }
  }

  async close(): Promise<void> {
    await this.#application?.endAsync(true)
    await Promise.all(this.clients.map((client) => client.endAsync(true)))
  }

  async #join(options: FleetOptions, { username, secret: password }: FleetDevice, index: number): Promise<void> {
    const five: IClientOptions = { protocolVersion: 5, properties: { sessionExpiryInterval: 0xffff_ffff } }
    const version = index % 2 === 0 ? five : {}
    const client = await mqtt.connectAsync({ ...common(options), ...version, clientId: 'it', username, password })
    let lostAt: number | undefined
    client.on('message', (_topic, payload) => this.received.add(`${username} ${payload.toString()}`))
    client.on('error', (error) => this.errors.push(`${username}: ${error.message}`))
    client.on('close', () => (lostAt ??= performance.now()))
    client.on('connect', () => {
      if (lostAt !== undefined) this.absences.push(performance.now() - lostAt)
      lostAt = undefined
    })
    this.clients.push(client)
    await client.subscribeAsync(`t/${username}/cmd/#`, { qos: 1 })
  }
}

function common({ port, ca }: FleetOptions): IClientOptions {
  const tls: IClientOptions = ca === undefined ? {} : { protocol: 'mqtts', ca }
  return {
    ...{ host: '127.0.0.1', port, clean: false, keepalive: 60, ...tls },
    // The session keeps the subscriptions. The library's own patience: how long a login waits on a busy machine is no error.
    ...{ reconnectPeriod: RECONNECT_MS, connectTimeout: 30_000, resubscribe: false },
    // Otherwise it would stay away for good when it is told to come again later.
    reconnectOnConnackError: true,
  }
}
