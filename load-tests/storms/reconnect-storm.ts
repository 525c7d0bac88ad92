import { registerFleet } from '../../services/simulator/fleet.ts'
import { eachAtOnce, StormClient, trustIn } from './storm-client.ts'
import { startStormService } from './storm-service.ts'

export interface ReconnectFigures {
  readonly clients: number
  /** From the loss of all connections until all clients are let in again. */
  readonly seconds: number
  readonly perSecond: number
  /** CPU of the broker's process for each reconnect, in milliseconds. */
  readonly cpuMs: number
  /** TLS sessions that were resumed. */
  readonly resumed: number
  /** Attempts that were not answered. */
  readonly failures: number
  /** Clients that were not connected at the end. */
  readonly missing: number
}

/** All devices of a fleet lose their connections at once, and come back as fast as they can. */
export async function reconnectStorm(options: {
  readonly clients: number
  readonly atOnce: number
  readonly tls: boolean
}): Promise<ReconnectFigures> {
  const service = await startStormService()
  try {
    const devices = await registerFleet(service.api, { tenant: 'storm', prefix: 'd', count: options.clients })
    const trust = options.tls ? { trust: trustIn(service.authority) } : {}
    const target = { host: '127.0.0.1', port: options.tls ? service.tlsPort : service.mqttPort, ...trust }
    const clients = devices.map(({ username, secret }) => new StormClient(target, { username, password: secret }))
    await eachAtOnce(clients, options.atOnce, (client) => client.join())
    const failedBefore = sum(clients, ({ failures }) => failures)
    const cpuBefore = service.cpuSeconds()
    const startedAt = performance.now()
    for (const client of clients) client.leave()
    await eachAtOnce(clients, options.atOnce, (client) => client.join())
    const seconds = (performance.now() - startedAt) / 1000
    const cpu = service.cpuSeconds() - cpuBefore
    const figures = {
      clients: clients.length,
      seconds: Number(seconds.toFixed(1)),
      perSecond: Math.round(clients.length / seconds),
      cpuMs: Number(((cpu / clients.length) * 1000).toFixed(2)),
      resumed: sum(clients, ({ isResumed }) => Number(isResumed)),
      failures: sum(clients, ({ failures }) => failures) - failedBefore,
      missing: sum(clients, ({ isOpen }) => Number(!isOpen)),
    }
    for (const client of clients) client.leave()
    return figures
  } finally {
    await service.stop()
  }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
