import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Connection } from './connection.ts'
import type { BrokerContext } from './broker-context.ts'
import { Reason } from '../mqtt/v5/reason.ts'
import type { Origin } from '../listeners/origin.ts'

/** What is in flight gets this long at the end; an append takes milliseconds unless the log is down. */
const DRAIN_MS = 4_000
/** About this share of the connections goes each second of an outage over the caps. */
const SHED_SHARE = 0.01
const SECOND = 1_000
/** A stop closes connections in slices about so far apart, so many per second unless that takes too long. */
const SLICE_MS = 100
const CALM_PER_SECOND = 200

/** All connections of a broker, and the one timer that they have: keepalives, time limits, shedding. */
export class Connections {
  readonly #context: BrokerContext
  readonly #connections = new Set<Connection>()
  readonly #sweep: NodeJS.Timeout
  readonly #stopRevoking: () => void
  /** Connections to be shed, with the fraction of one that small brokers gather over seconds. */
  #owed = 0

  constructor(context: BrokerContext) {
    this.#context = context
    this.#sweep = setInterval(() => this.#tick(), SECOND)
    this.#stopRevoking = context.authorizer.onRevoked((name, wasLoggedIn) => {
      if (!wasLoggedIn) return
      for (const connection of this.#connections) if (connection.who === name) connection.close(Reason.notAuthorised)
    })
  }

  get size(): number {
    return this.#connections.size
  }

  /** Takes a connection of any listener: bytes of MQTT, half-open when the client has ended its side. */
  accept(stream: Duplex, origin: Origin): void {
    const connection = new Connection(stream, origin, this.#context)
    this.#connections.add(connection)
    void connection.ended.then(() => this.#connections.delete(connection))
  }

  /**
   * Disconnects the clients over DRAIN_SECONDS, reads nothing more, waits for what is in flight and for the wills that
   * closing sets off (bounded). What is not acknowledged then the clients send again.
   */
  async close(): Promise<void> {
    const { forwarder, repeats } = this.#context
    await this.#sendAway()
    for (const connection of this.#connections) connection.stopReading()
    await forwarder.drain(DRAIN_MS)
    await repeats.drain(DRAIN_MS)
    for (const connection of this.#connections) connection.close(Reason.shuttingDown)
    await Promise.all([...this.#connections].map((connection) => connection.ended))
    await forwarder.drain(DRAIN_MS)
    clearInterval(this.#sweep)
    this.#stopRevoking()
  }

  /** In slices: clients that lost their node at once would come to the others at once. */
  async #sendAway(): Promise<void> {
    const connections = [...this.#connections]
    const seconds = Math.min(this.#context.settings.DRAIN_SECONDS, connections.length / CALM_PER_SECOND)
    const slices = Math.floor((seconds * SECOND) / SLICE_MS)
    const perSlice = Math.ceil(connections.length / Math.max(1, slices))
    for (let slice = 0; slice < slices; slice += 1) {
      const leaving = connections.slice(slice * perSlice, (slice + 1) * perSlice)
      for (const connection of leaving) connection.stopReading()
      // What they have in flight is acknowledged meanwhile.
      await delay(SLICE_MS * (0.5 + Math.random()))
      for (const connection of leaving) connection.close(Reason.shuttingDown)
    }
  }

  /** Limits of time. Of the clients without keepalive that are silent longer than others may be, so many stay. */
  #lookAtSilence(): void {
    const { tally, settings } = this.#context
    const silent: { readonly connection: Connection; readonly seconds: number }[] = []
    for (const connection of this.#connections) {
      connection.tick()
      const seconds = connection.state.unlimitedSilence
      if (seconds > settings.MAX_KEEPALIVE_SECONDS) silent.push({ connection, seconds })
    }
    tally.silentConnections = silent.length
    if (silent.length <= settings.MAX_SILENT_CONNECTIONS) return
    silent.sort((one, other) => other.seconds - one.seconds)
    for (const { connection } of silent.slice(0, silent.length - settings.MAX_SILENT_CONNECTIONS)) {
      tally.keepaliveTimeouts += 1
      connection.close(Reason.keepAliveTimeout)
    }
  }

  #tick(): void {
    const { time, backpressure, tally } = this.#context
    time.seconds += 1
    this.#lookAtSilence()
    const open = [...this.#connections].filter((connection) => !connection.isClosed)
    this.#owed = backpressure.shedsConnections ? this.#owed + open.length * SHED_SHARE : 0
    const first = Math.floor(Math.random() * open.length)
    for (let index = first; this.#owed >= 1; index += 1, this.#owed -= 1) {
      open[index % open.length]?.close(Reason.busy)
      tally.connectionsShed += 1
    }
  }
}
