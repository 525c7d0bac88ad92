import { setTimeout as delay } from 'node:timers/promises'
import { registerFleet } from '../../services/simulator/fleet.ts'
import { eachAtOnce, StormClient, trustIn } from '../storms/storm-client.ts'
import { startStormService } from '../storms/storm-service.ts'

export interface IdleOptions {
  readonly connections: number
  readonly tls: boolean
  /** That the devices ask for; 0 = none. */
  readonly keepAliveSeconds: number
  /** Of Node, for the service. */
  readonly flags?: readonly string[]
}

export interface IdleFigures extends Omit<IdleOptions, 'flags'> {
  /** Resident bytes of the broker's process for each, without the garbage of logging in. */
  readonly bytesEach: number
  /** Resident bytes of the whole process when all are connected: with that garbage, without it, and without them. */
  readonly resident: { readonly asIs: number; readonly settled: number; readonly before: number }
}

const AT_ONCE = 500
/** Connected and gone before the measurement: what a first connection loads is no cost of a connection. */
const WARM_UP = 200
/** For the last writes about who is connected, which go out each second. */
const QUIET_MS = 2_000

/** Devices that log in to a fresh service and then say nothing. */
export async function idleConnections(options: IdleOptions): Promise<IdleFigures> {
  const { connections, tls, keepAliveSeconds, flags = [] } = options
  const service = await startStormService({}, { collects: true, flags })
  try {
    const devices = await registerFleet(service.api, { tenant: 'idle', prefix: 'd', count: connections })
    const trust = tls ? { trust: trustIn(service.authority) } : {}
    const target = { host: '127.0.0.1', port: tls ? service.tlsPort : service.mqttPort, ...trust }
    const clients = devices.map(
      ({ username, secret }) => new StormClient(target, { username, password: secret, keepAliveSeconds }),
    )
    const first = clients.slice(0, WARM_UP)
    await eachAtOnce(first, AT_ONCE, (client) => client.join())
    for (const client of first) client.leave()
    await delay(QUIET_MS)
    const before = await service.settledBytes()
    await eachAtOnce(clients, AT_ONCE, (client) => client.join())
    await delay(QUIET_MS)
    const asIs = service.residentBytes()
    const settled = await service.settledBytes()
    const lost = clients.filter(({ isOpen }) => !isOpen).length
    if (lost > 0) throw new Error(`${lost} of ${connections} connections did not last`)
    for (const client of clients) client.leave()
    const bytesEach = Math.round((settled - before) / connections)
    return { connections, tls, keepAliveSeconds, bytesEach, resident: { asIs, settled, before } }
  } finally {
    await service.stop()
  }
}
