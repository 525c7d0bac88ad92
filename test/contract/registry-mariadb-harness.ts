import { createConnection, type Connection } from 'mariadb'
import { onTestFinished } from 'vitest'
import { createLogger } from '../../shared/logger.ts'
import { createMetrics } from '../../shared/metrics.ts'
import { openMariadbRegistry, type MariadbRegistryOptions } from '../../shared/registry/mariadb.ts'
import type { Registry } from '../../shared/registry/port.ts'
import type { Mariadb } from '../servers/mariadb.ts'
import type { RegistryHarness } from './registry-harness.ts'

export const KEY = Buffer.alloc(32, 1)

let databases = 0

/** A new database on the server, and its URL. */
export async function newDatabase(server: Mariadb): Promise<string> {
  databases += 1
  const url = new URL(server.url)
  url.pathname = `/sluice_${process.pid}_${databases}`
  const admin = await connectTo(server.url)
  // As an operator may make one: the tables bring their own collation.
  await admin.query(`create database ${url.pathname.slice(1)} character set latin1 collate latin1_swedish_ci`)
  return url.href
}

/** A connection beside the registry's, closed with the test. */
export async function connectTo(url: string): Promise<Connection> {
  const connection = await createConnection(`${url}?bigIntAsNumber=true`)
  onTestFinished(() => connection.destroy())
  return connection
}

export async function openAt(url: string, overrides: Partial<MariadbRegistryOptions> = {}): Promise<Registry> {
  const metrics = createMetrics({ defaults: false })
  return openMariadbRegistry({ url, credentialKey: KEY, logger: createLogger('silent'), metrics, ...overrides })
}

export async function makeMariadbHarness(server: Mariadb): Promise<RegistryHarness> {
  const url = await newDatabase(server)
  return { open: (credentialKey = KEY) => openAt(url, { credentialKey }) }
}
