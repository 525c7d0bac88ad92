import { Kysely, sql, type Dialect, type Driver } from 'kysely'
import { Migrator } from 'kysely/migration'
import { describe, expect, it } from 'vitest'
import { overriding } from '../../../load-tests/reference/overriding.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { mariadbDialect } from '../../../shared/registry/mariadb/dialect.ts'
import { MariadbMetrics } from '../../../shared/registry/mariadb/metrics.ts'
import { mariadbFlavour } from '../../../shared/registry/mariadb/open.ts'
import { MariadbPool } from '../../../shared/registry/mariadb/pool.ts'
import { allMigrations, migrateToLatest } from '../../../shared/registry/sql/migrate.ts'
import type { RegistrySchema } from '../../../shared/registry/sql/schema.ts'
import { connectTo, MariadbOfFile, openAt } from '../../contract/registry-mariadb-harness.ts'

/** What the version that is out has. */
const BEFORE = '0004-presence'
const server = new MariadbOfFile()

function dialectOf(url: string): Dialect {
  const logger = createLogger('silent')
  const { hostname: host, port, username: user, password, pathname } = new URL(url)
  const pool = new MariadbPool(
    () => ({ host, port: Number(port), user, password, database: pathname.slice(1), bigIntAsNumber: true }),
    logger,
  )
  return mariadbDialect({ pool, metrics: new MariadbMetrics(pool, logger, createMetrics({ defaults: false })) })
}

/** From the statement of that number on nothing arrives any more, as of a process that was killed. */
function killedAt(dialect: Dialect, statement: number): Dialect {
  let count = 0
  const cut = (driver: Driver): Driver =>
    overriding(driver, {
      async acquireConnection() {
        const connection = await driver.acquireConnection()
        return overriding(connection, {
          executeQuery: async (query) => {
            count += 1
            if (count >= statement) throw new Error('killed')
            return connection.executeQuery(query)
          },
        })
      },
    })
  return { ...dialect, createDriver: () => cut(dialect.createDriver()) }
}

async function databaseOfBefore(): Promise<string> {
  const url = await server.newDatabase()
  const db = new Kysely<RegistrySchema>({ dialect: dialectOf(url) })
  const provider = { getMigrations: () => Promise.resolve(allMigrations(mariadbFlavour)) }
  const { error } = await new Migrator({ db, provider }).migrateTo(BEFORE)
  expect(error).toBeUndefined()
  await sql`insert into tenants values ('acme', 1)`.execute(db)
  await sql`insert into devices (tenant, device, tags, created_ms) values ('acme', 'p1', '{"a":"b"}', 1)`.execute(db)
  await sql`insert into device_state (tenant, device, stream, fields, last_seen_ms, log_partition, log_offset)
    values ('acme', 'p1', 'telemetry', '{}', 5, 1, 7)`.execute(db)
  await db.destroy()
  return url
}

/** Columns, and rows without when a migration ran. */
async function contentOf(url: string): Promise<unknown> {
  const registry = await openAt(url)
  expect(await registry.getDevice('acme', 'p1')).toMatchObject({ tags: { a: 'b' } })
  await registry.close()
  const connection = await connectTo(url)
  const tables = await connection.query<Record<string, string>[]>('show tables')
  const names = tables.flatMap((row) => Object.values(row)).sort()
  const content = names.map(async (name) => {
    const rows = await connection.query<object[]>(`select * from ${name}`)
    return [
      await connection.query<object[]>(`show columns from ${name}`),
      rows.map((row) => JSON.stringify({ ...row, timestamp: undefined })).sort(),
    ]
  })
  return Promise.all(content)
}

/** Whether the migration was killed; it is over when it has fewer statements. */
async function migrateAndKill(url: string, statement: number): Promise<boolean> {
  const db = new Kysely<RegistrySchema>({ dialect: killedAt(dialectOf(url), statement) })
  try {
    await migrateToLatest(db, mariadbFlavour)
    return false
  } catch (error) {
    expect(String(error)).toContain('killed')
    return true
  } finally {
    await db.destroy()
  }
}

describe('a registry of the version before in MariaDB', () => {
  it('whose migration was killed before any statement is gone on with', { timeout: 600_000 }, async () => {
    const whole = await contentOf(await databaseOfBefore())
    let killed = 0
    for (let statement = 1; ; statement++) {
      const url = await databaseOfBefore()
      const isKilled = await migrateAndKill(url, statement)
      expect(await contentOf(url)).toEqual(whole)
      if (!isKilled) break
      killed += 1
    }
    // One each at least to look, to lock, to change and to note it.
    expect(killed).toBeGreaterThan(4)
  })
})
