import { readdirSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createConnection } from 'mariadb'
import { expect } from 'vitest'
import type { ServerProcess } from '../../../load-tests/servers/server-process.ts'
import { expectKept, runScenario, scenario, someTime, useServers } from './harness.ts'
import type { ScenarioName } from './scenarios.ts'

const cluster = useServers()

/** A scenario whose fault begins at some time of its own. */
function fails(name: ScenarioName, fault: (random: () => number) => Promise<void>): void {
  scenario(name, async (_name, seed) => {
    const outcome = await runScenario(cluster, {
      ...{ name, seed },
      async fault(_cluster, random) {
        await someTime(random, 1_000)
        await fault(random)
      },
      // Clients of servers that are away print of themselves, if nobody listens to their errors.
      afterwards: async () => expect(linesBesideTheLog()).toEqual([]),
    })
    expectKept(outcome)
  })
}

/** What the processes wrote to stderr that is no line of their log. */
function linesBesideTheLog(): string[] {
  const folder = join(cluster.folder, 'services')
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'))
  expect(logs.length).toBeGreaterThan(0)
  return logs.flatMap((name) =>
    readFileSync(join(folder, name), 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('{"level":')),
  )
}

async function away(server: ServerProcess, ms: number): Promise<void> {
  await server.stop('SIGKILL')
  await delay(ms)
  await server.start()
}

fails('InfluxDB killed', (random) => away(cluster.servers.influxdb.process, 3_000 + random() * 2_000))

fails('InfluxDB hangs', async (random) => {
  const { process } = cluster.servers.influxdb
  process.signal('SIGSTOP')
  await delay(3_000 + random() * 2_000)
  process.signal('SIGCONT')
})

fails('MariaDB killed', (random) => away(cluster.servers.mariadb.process, 3_000 + random() * 2_000))

fails('MariaDB read-only', async (random) => {
  await asRoot('SET GLOBAL read_only = 1')
  await delay(3_000 + random() * 2_000)
  await asRoot('SET GLOBAL read_only = 0')
})

fails('Redis killed and flushed', async (random) => {
  await away(cluster.servers.cache.process, 2_000)
  await away(cluster.servers.sessions.process, 500)
  const redis = new Redis(cluster.servers.cache.url)
  for (let flush = 0; flush < 5; flush += 1) {
    await someTime(random, 300)
    await redis.flushall()
  }
  redis.disconnect()
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
