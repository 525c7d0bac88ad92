import { setTimeout as delay } from 'node:timers/promises'
import mqtt, { type MqttClient } from 'mqtt'
import type { ApiClient } from '../../../shared/api-client.ts'
import { devicePath } from '../../../shared/api-client.ts'
import { registerFleet, type FleetDevice } from '../../../services/simulator/fleet.ts'

/** Readings without a time in one message in flight at a time, of each device. */
const PAUSE_MS = 20
/** A device stays with a broker for about so many readings. */
const STAY = 25
const RETRY_MS = 500
const PAGE_POINTS = 10_000

export interface RoamingVerdict {
  readonly acked: number
  readonly lost: number
  /** Readings that came back more often than once: a repeat of one whose acknowledgement was lost has another time. */
  readonly repeated: number
  /** Values that were never sent, or whose two fields do not belong together. */
  readonly wrong: number
}

/**
 * Devices whose readings carry no time, at QoS 2 on persistent sessions, by a client that we did not write; each goes
 * from one broker to the next as it sends, in the middle of what it sends. The proof goes by what a reading holds.
 */
export class RoamingFleet {
  readonly #devices: readonly FleetDevice[]
  readonly #api: ApiClient
  readonly #ports: () => readonly number[]
  readonly #acked: Set<number>[]
  readonly #sent: number[]
  readonly #clients = new Set<MqttClient>()
  #isSending = true
  #running: Promise<unknown> = Promise.resolve()

  private constructor(api: ApiClient, devices: readonly FleetDevice[], ports: () => readonly number[]) {
    this.#api = api
    this.#devices = devices
    this.#ports = ports
    this.#acked = devices.map(() => new Set())
    this.#sent = devices.map(() => 0)
  }

  /** `ports` are those of the brokers as they are now. */
  static async start(
    api: ApiClient,
    { tenant, count, ports }: { tenant: string; count: number; ports: () => readonly number[] },
  ): Promise<RoamingFleet> {
    const devices = await registerFleet(api, { tenant, prefix: 'roams', count })
    const fleet = new RoamingFleet(api, devices, ports)
    fleet.#running = Promise.all(devices.map((device, index) => fleet.#roam(device, index)))
    return fleet
  }

  /** Sends no more, and resolves when all that was sent is acknowledged. */
  async stopSending(): Promise<void> {
    this.#isSending = false
    await this.#running
  }

  /** Behind the commit of all that was sent. */
  async verdict(): Promise<RoamingVerdict> {
    const verdict = { acked: 0, lost: 0, repeated: 0, wrong: 0 }
    for (const [index, device] of this.#devices.entries()) {
      const found = new Map<unknown, number>()
      const [numbers, doubles] = [await this.#points(device, 'n'), await this.#points(device, 'double')]
      for (const [time, n] of numbers) {
        found.set(n, (found.get(n) ?? 0) + 1)
        const wasSent = typeof n === 'number' && n < (this.#sent[index] ?? 0)
        if (!wasSent || doubles.get(time) !== 2 * n) verdict.wrong += 1
      }
      const acked = this.#acked[index] ?? new Set<number>()
      verdict.acked += acked.size
      for (const n of acked) if (!found.has(n)) verdict.lost += 1
      for (const times of found.values()) verdict.repeated += times - 1
    }
    return verdict
  }

  async close(): Promise<void> {
    this.#isSending = false
    await Promise.all([...this.#clients].map((client) => client.endAsync(true)))
  }

  /** One connection after the other: the next one continues the session, wherever it is. */
  async #roam({ tenant, device, username, secret }: FleetDevice, index: number): Promise<void> {
    const topic = `t/${tenant}/${device}/telemetry`
    for (let broker = index; this.#isSending; broker += 1) {
      const ports = this.#ports()
      const client = mqtt.connect('mqtt://127.0.0.1', {
        ...{ port: ports[broker % ports.length] ?? 0, username, password: secret, clientId: 'roams', clean: false },
        // The library's own patience for a login: a busy machine is no error.
        ...{ reconnectPeriod: RETRY_MS, reconnectOnConnackError: true, connectTimeout: 30_000 },
      })
      this.#clients.add(client)
      client.on('error', () => undefined)
      for (let stay = 0; this.#isSending && stay < STAY; stay += 1) {
        const n = this.#sent[index] ?? 0
        this.#sent[index] = n + 1
        // Whatever happens to the connection, the client sends it until it is acknowledged.
        await client.publishAsync(topic, `{"n":${n},"double":${2 * n}}`, { qos: 2 })
        this.#acked[index]?.add(n)
        await delay(PAUSE_MS)
      }
      await client.endAsync(true)
      this.#clients.delete(client)
    }
  }

  /** Value by time in nanoseconds, as text: several readings may be in one microsecond. */
  async #points({ tenant, device }: FleetDevice, field: string): Promise<Map<string, number>> {
    const points = new Map<string, number>()
    for (let cursor: string | undefined, page = 0; page === 0 || cursor !== undefined; page += 1) {
      const query = { field, limit: PAGE_POINTS, cursor }
      const answer = await this.#api.get<Readings>(devicePath(tenant, device, '/readings'), query)
      for (const { points: found } of answer.series) for (const [time, value] of found) points.set(time, value)
      cursor = answer.next ?? undefined
    }
    return points
  }
}

interface Readings {
  readonly series: readonly { readonly points: readonly (readonly [string, number])[] }[]
  readonly next: string | null
}
