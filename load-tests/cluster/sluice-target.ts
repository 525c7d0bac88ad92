import { join } from 'node:path'
import { ApiClient, devicePath } from '../../shared/api-client.ts'
import { registerFleet, type FleetDevice } from '../../services/simulator/fleet.ts'
import { formatInstant } from '../../shared/telemetry.ts'
import { Cluster } from './cluster.ts'
import type { Servers } from '../servers/all.ts'
import type { Target } from './phase.ts'
import type { Parts } from './process-cpu.ts'

/** Of what the API answers. */
interface ReadTimes {
  readonly series: readonly { readonly points: readonly (readonly [number, unknown])[] }[]
}

export interface SluiceOptions {
  readonly servers: Servers
  readonly folder: string
  readonly workers: number
  /** Of the log. */
  readonly partitions: number
  /** Where each process leaves its CPU profile at the end. */
  readonly profiles: string | undefined
}

/** Broker, workers and API as processes on the servers. */
export async function startSluice({ servers, folder, workers, partitions, profiles }: SluiceOptions): Promise<Cluster> {
  const profiling = profiles === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` }
  const env = { ...servers.env, LOG_LEVEL: 'info', LOG_PARTITIONS: String(partitions), ...profiling }
  const cluster = new Cluster({ workers, folder: join(folder, 'services'), env })
  try {
    await cluster.start()
  } catch (error) {
    await cluster.close()
    throw error
  }
  return cluster
}

/** SIGTERM to all, and waits for them: a process that is killed leaves no profile. */
export async function stopSluice(cluster: Cluster): Promise<void> {
  await Promise.all([cluster.broker, cluster.api, ...cluster.workers].map((member) => member.stop('SIGTERM')))
  await cluster.close()
}

export async function sluiceTarget(options: SluiceOptions & { readonly devices: number }): Promise<Target> {
  const cluster = await startSluice(options)
  const api = new ApiClient({ url: cluster.url, token: cluster.token })
  const prefix = `d${Date.now().toString(36)}`
  const devices = await registerFleet(api, { tenant: 'bench', prefix, count: options.devices })
  return {
    name: 'sluice',
    mqttPort: cluster.broker.ready.mqtt?.port ?? 0,
    devices,
    parts: { ...sluiceParts(cluster), ...serverParts(options.servers) },
    readTimes: (device, fromUs, toUs) => readTimes(api, device, fromUs, toUs),
    close: () => stopSluice(cluster),
  }
}

/** The processes of the cluster as they are now. */
export function sluiceParts(cluster: Cluster): Parts {
  return {
    broker: [cluster.broker.ready.pid],
    workers: cluster.workers.map((worker) => worker.ready.pid),
    api: [cluster.api.ready.pid],
  }
}

export function serverParts(servers: Servers): Parts {
  const pids = (...processes: { readonly pid: number | undefined }[]) => processes.flatMap(({ pid }) => pid ?? [])
  return {
    kafka: pids(...servers.kafka.processes),
    influxdb: pids(servers.influxdb.process),
    'mariadb, redis': pids(servers.mariadb.process, servers.sessions.process, servers.cache.process),
  }
}

async function readTimes(api: ApiClient, device: FleetDevice, fromUs: number, toUs: number): Promise<number[]> {
  const [from, to] = [fromUs, toUs].map((us) => formatInstant({ ms: Math.floor(us / 1000), ns: (us % 1000) * 1000 }))
  const query = { from, to, field: 'seq', epoch: 'us', limit: 1000 }
  const answer = await api.get<ReadTimes>(devicePath(device.tenant, device.device, '/readings'), query)
  return answer.series.flatMap(({ points }) => points.map(([time]) => time))
}
