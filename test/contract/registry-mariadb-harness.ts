import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { createConnection, type Connection } from 'mariadb'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import {
  openMariadbRegistry,
  openMariadbTables,
  type MariadbRegistryOptions,
} from '../../shared/registry/mariadb/open.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { startMariadb, type Mariadb } from '../../load-tests/servers/mariadb.ts'
import type { TablesHarness } from './registry-tables-contract.ts'

export const KEY = Buffer.alloc(32, 1)

/** One server for the tests of a file. */
export class MariadbOfFile {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sluice-mariadb-'))
  #server: Mariadb | undefined
  #databases = 0

  constructor() {
    beforeAll(async () => {
      this.#server = await startMariadb(this.#folder)
    })
    afterAll(async () => {
      await this.#server?.stop()
      rmSync(this.#folder, { recursive: true, force: true })
    })
  }

  get server(): Mariadb {
    if (this.#server === undefined) throw new Error('the server was not started')
    return this.#server
  }

  /** The URL of a new database. */
  async newDatabase(): Promise<string> {
    this.#databases += 1
    const url = new URL(this.server.url)
    url.pathname = `/sluice_${this.#databases}`
    const admin = await connectTo(this.server.url)
    // As an operator may make one: the tables bring their own collation.
    await admin.query(`create database ${url.pathname.slice(1)} character set latin1 collate latin1_swedish_ci`)
    return url.href
  }

  /** A connection with every right, closed with the test. */
  async root(): Promise<Connection> {
    const socketPath = join(this.#folder, 'mariadb', 's.sock')
    return ofTest(await createConnection({ socketPath, user: userInfo().username }))
  }

  async harness(): Promise<TablesHarness> {
    const url = await this.newDatabase()
    const options = { url, credentialKey: KEY, logger: createLogger('silent') }
    return {
      open: (credentialKey = KEY) => openAt(url, { credentialKey }),
      openTables: () => openMariadbTables({ ...options, metrics: createMetrics({ defaults: false }) }),
    }
  }
}

/** A connection beside the registry's, closed with the test. */
export async function connectTo(url: string): Promise<Connection> {
  return ofTest(await createConnection(`${url}?bigIntAsNumber=true`))
}

function ofTest(connection: Connection): Connection {
  onTestFinished(() => connection.destroy())
  // Tests kill the server: that is no defect of theirs.
  connection.on('error', () => connection.destroy())
  return connection
}

export async function openAt(
  url: MariadbRegistryOptions['url'],
  overrides: Partial<MariadbRegistryOptions> = {},
): Promise<Registry> {
  const metrics = createMetrics({ defaults: false })
  return openMariadbRegistry({ url, credentialKey: KEY, logger: createLogger('silent'), metrics, ...overrides })
}
