import { Releasers } from '../../shared/process/releasers.ts'
import { installInfluxdb, startInfluxdb, type Influxdb } from './influxdb.ts'
import { installKafka, startKafka, type Kafka } from './kafka.ts'
import { installMariadb, startMariadb, type Mariadb } from './mariadb.ts'
import { installRedis, startRedis, type Redis } from './redis.ts'

export interface Servers {
  readonly kafka: Kafka
  readonly influxdb: Influxdb
  readonly mariadb: Mariadb
  readonly sessions: Redis
  readonly cache: Redis
  /** The settings under which the services find them. */
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

export interface AllOptions {
  readonly brokers: 1 | 3
  /** Free ports where a port is not given; three Kafka brokers take consecutive ones. */
  readonly ports?: {
    readonly kafka?: number
    readonly influxdb?: number
    readonly mariadb?: number
    readonly sessions?: number
    readonly cache?: number
  }
}

/** Installs what is missing, once; rejects with what cannot be installed here, and what for. */
export async function installAll(): Promise<void> {
  await installMariadb()
  await installRedis()
  await installKafka()
  await installInfluxdb()
}

/** Installs and starts every server of the cluster deployment below `folder`; what was started is stopped on failure. */
export async function startAll(folder: string, options: AllOptions): Promise<Servers> {
  const releasers = new Releasers()
  const owned = async <T extends { stop(): Promise<void> }>(name: string, starting: Promise<T>) =>
    releasers.own(name, await starting, (it) => it.stop())
  const { ports = {}, brokers } = options
  const at = (port: number | undefined) => (port === undefined ? {} : { port })
  const kafkaPorts = ports.kafka === undefined ? {} : { ports: consecutive(ports.kafka, brokers) }
  try {
    const starting = [
      owned('kafka', startKafka(folder, { brokers, ...kafkaPorts })),
      owned('influxdb', startInfluxdb(folder, at(ports.influxdb))),
      owned('mariadb', startMariadb(folder, at(ports.mariadb))),
      owned('redis sessions', startRedis(folder, 'sessions', at(ports.sessions))),
      owned('redis cache', startRedis(folder, 'cache', at(ports.cache))),
    ] as const
    // When one fails nothing may still be starting: nobody would stop it.
    await Promise.allSettled(starting)
    const [kafka, influxdb, mariadb, sessions, cache] = await Promise.all(starting)
    const env = {
      KAFKA_BROKERS: kafka.brokers.join(','),
      LOG_REPLICATION: String(brokers),
      INFLUX_URL: influxdb.url,
      INFLUX_ORG: influxdb.org,
      INFLUX_TOKEN: influxdb.token,
      MARIADB_URL: mariadb.url,
      REDIS_SESSIONS_URL: sessions.url,
      REDIS_CACHE_URL: cache.url,
    }
    return { kafka, influxdb, mariadb, sessions, cache, env, stop: () => releasers.close() }
  } catch (error) {
    await releasers.close()
    throw error
  }
}

function consecutive(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index)
}
