import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createConnection } from 'mariadb'
import { Redis } from 'ioredis'
import { describe, it } from 'vitest'
import type { ServerProcess } from '../../servers/server-process.ts'
import { expectKept, FULL, LIMIT_MS, runScenario, SEEDS, someTime, useServers } from './harness.ts'

const cluster = useServers()
/** How long Kafka is away. */
const OUTAGE_MS = FULL ? 60_000 : 15_000

describe.each(SEEDS)('servers that go away under load, seed %i', (seed) => {
  /** A scenario whose fault begins at some time of its own. */
  const run = async (name: string, fault: (random: () => number) => Promise<void>, rate = 2_000) => {
    const outcome = await runScenario(cluster, {
      ...{ name, seed, rate },
      async fault(_cluster, random) {
        await someTime(random, 1_000)
        await fault(random)
      },
    })
    expectKept(outcome)
  }
  const away = async (server: ServerProcess | undefined, ms: number) => {
    await server?.stop('SIGKILL')
    await delay(ms)
    await server?.start()
  }
  const hanging = async (server: ServerProcess | undefined, ms: number) => {
    server?.signal('SIGSTOP')
    await delay(ms)
    server?.signal('SIGCONT')
  }

  // What is due meanwhile comes in one rush afterwards, so there is less of it.
  it('Kafka killed, and back after a while', { timeout: LIMIT_MS }, () =>
    run('Kafka killed', () => away(cluster.servers.kafka.processes[0], OUTAGE_MS), 1_000),
  )

  it('Kafka that hangs for a while', { timeout: LIMIT_MS }, () =>
    run('Kafka hangs', () => hanging(cluster.servers.kafka.processes[0], OUTAGE_MS), 1_000),
  )

  it('InfluxDB killed, and back after a while', { timeout: LIMIT_MS }, () =>
    run('InfluxDB killed', (random) => away(cluster.servers.influxdb.process, 3_000 + random() * 2_000)),
  )

  it('InfluxDB that hangs for a while', { timeout: LIMIT_MS }, () =>
    run('InfluxDB hangs', (random) => hanging(cluster.servers.influxdb.process, 3_000 + random() * 2_000)),
  )

  it('MariaDB killed, and back after a while', { timeout: LIMIT_MS }, () =>
    run('MariaDB killed', (random) => away(cluster.servers.mariadb.process, 3_000 + random() * 2_000)),
  )

  it('MariaDB that takes no writes for a while', { timeout: LIMIT_MS }, () =>
    run('MariaDB read-only', async (random) => {
      await asRoot('SET GLOBAL read_only = 1')
      await delay(3_000 + random() * 2_000)
      await asRoot('SET GLOBAL read_only = 0')
    }),
  )

  it('the cache killed, and flushed again and again', { timeout: LIMIT_MS }, () =>
    run('Redis cache killed and flushed', async (random) => {
      await away(cluster.servers.cache.process, 2_000)
      const redis = new Redis(cluster.servers.cache.url)
      for (let flush = 0; flush < 5; flush += 1) {
        await someTime(random, 300)
        await redis.flushall()
      }
      redis.disconnect()
    }),
  )
})

/** Over the socket, where the user that the server runs as has every right. */
async function asRoot(statement: string): Promise<void> {
  const connection = await createConnection({
    socketPath: join(cluster.folder, 'mariadb', 's.sock'),
    user: userInfo().username,
  })
  await connection.query(statement)
  await connection.end()
}
