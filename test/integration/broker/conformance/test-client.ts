import type { MqttClient } from 'mqtt'
import { onTestFinished } from 'vitest'
import { openJs } from '../../../mqtt/mqtt-js.ts'
import type { Version } from '../../../mqtt/packets.ts'
import type { Way } from '../../../mqtt/way.ts'

export type Qos = 0 | 1 | 2

export interface ConnectOptions {
  readonly clientId: string
  /** True unless told otherwise. A session that is not clean lasts for ever, in MQTT 5 too. */
  readonly clean?: boolean
  /** Seconds. */
  readonly keepalive?: number
  readonly will?: { readonly topic: string; readonly payload: string; readonly qos: Qos }
}

/** A client of a library that somebody else wrote: all that the behaviours below need of it. */
export interface TestClient {
  /** Resolves with `session present`; rejects when the broker refuses. */
  connect(way: Way, options: ConnectOptions): Promise<boolean>
  /** Resolves with the codes of SUBACK. */
  subscribe(...filters: readonly [string, Qos][]): Promise<readonly number[]>
  unsubscribe(filter: string): Promise<void>
  /** Resolves when the exchange of the QoS is complete. */
  publish(topic: string, payload: string, qos: Qos, retain?: boolean): Promise<void>
  /** What it received so far: `topic payload qos[ retained]`. */
  readonly messages: readonly string[]
  /** From now on it acknowledges nothing that it receives. */
  mute(): Promise<void>
  /** From now on it sends nothing, not even pings. Resolves when the broker has closed the connection. */
  silence(): Promise<void>
  /** Breaks the connection without DISCONNECT. */
  drop(): Promise<void>
  disconnect(): Promise<void>
}

/** Makes clients of one library. */
export interface Stack {
  readonly name: string
  readonly isThere: boolean
  readonly hint: string
  /** To be called once per test; what it makes is closed with the test. */
  start(version: Version): () => TestClient
}

export const mqttJs: Stack = {
  name: 'MQTT.js',
  isThere: true,
  hint: '',
  start: (version) => () => new MqttJs(version),
}

class MqttJs implements TestClient {
  readonly messages: string[] = []
  readonly #version: Version
  #client: MqttClient | undefined
  #isMute = false

  constructor(version: Version) {
    this.#version = version
    onTestFinished(async () => {
      await this.#client?.endAsync(true)
    })
  }

  async connect(way: Way, { clientId, clean = true, keepalive = 60, will }: ConnectOptions): Promise<boolean> {
    this.#isMute = false
    const session = this.#version === 5 && !clean ? { properties: { sessionExpiryInterval: 0xffffffff } } : {}
    const last = will === undefined ? {} : { will: { ...will, payload: Buffer.from(will.payload), retain: false } }
    const options = { protocolVersion: this.#version, clientId, clean, keepalive, ...session, ...last }
    const client = openJs(way, options)
    this.#client = client
    // A message whose callback is never called is not acknowledged, and nothing behind it is taken.
    client.handleMessage = (_packet, done) => {
      if (!this.#isMute) done()
    }
    client.on('message', (topic, payload, { qos, retain }) => {
      if (!this.#isMute) this.messages.push(`${topic} ${payload.toString()} ${qos}${retain ? ' retained' : ''}`)
    })
    return new Promise<boolean>((resolve, reject) => {
      client.once('connect', ({ sessionPresent }) => resolve(sessionPresent))
      client.on('error', reject)
      client.once('close', () => reject(new Error('closed without CONNACK')))
    })
  }

  async subscribe(...filters: readonly [string, Qos][]): Promise<readonly number[]> {
    const client = this.#open
    const wanted = Object.fromEntries(filters.map(([filter, qos]) => [filter, { qos }]))
    return new Promise((resolve) => {
      // The error says only that one of them was refused; the packet says which.
      client.subscribe(wanted, (_error, _granted, packet) => resolve((packet?.granted ?? []) as number[]))
    })
  }

  async unsubscribe(filter: string): Promise<void> {
    await this.#open.unsubscribeAsync(filter)
  }

  async publish(topic: string, payload: string, qos: Qos, retain = false): Promise<void> {
    await this.#open.publishAsync(topic, payload, { qos, retain })
  }

  async mute(): Promise<void> {
    this.#isMute = true
  }

  async silence(): Promise<void> {
    const client = this.#open
    client.keepaliveManager.destroy()
    await closed(client)
  }

  async drop(): Promise<void> {
    const client = this.#open
    const gone = closed(client)
    client.stream.destroy()
    await gone
  }

  async disconnect(): Promise<void> {
    await this.#open.endAsync()
  }

  get #open(): MqttClient {
    if (this.#client === undefined) throw new Error('not connected')
    return this.#client
  }
}

function closed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()))
}
