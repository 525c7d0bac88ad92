import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely, SqliteAdapter, type Dialect } from 'kysely'
import { describe, expect, it } from 'vitest'
import { overriding } from '../../../load-tests/reference/overriding.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { loadCredentialKey } from '../../../shared/registry/credentials.ts'
import { migrateToLatest } from '../../../shared/registry/sql/migrate.ts'
import type { RegistrySchema } from '../../../shared/registry/sql/schema.ts'
import { SqliteConnection } from '../../../shared/registry/sqlite/connection.ts'
import { sqliteDialect } from '../../../shared/registry/sqlite/dialect.ts'
import { openSqliteRegistry, sqliteFlavour } from '../../../shared/registry/sqlite/open.ts'
import { unpack } from '../../e2e/upgrade/fixture.ts'
import { tempFolder } from '../../helpers.ts'

const FILES = ['registry.db', 'registry.db-wal', 'registry.db-sums']

/** What a process that is killed before each statement of the migrations leaves behind; what is the same once. */
async function killedAtEachStatement(folder: string, change: (dialect: Dialect) => Dialect): Promise<string[]> {
  const states = new Map<string, string>()
  const keep = () => {
    const there = FILES.filter((name) => existsSync(join(folder, name)))
    const hash = createHash('sha256')
    for (const name of there) hash.update(name).update(readFileSync(join(folder, name)))
    const digest = hash.digest('hex')
    if (states.has(digest)) return
    const state = tempFolder()
    for (const name of there) copyFileSync(join(folder, name), join(state, name))
    states.set(digest, state)
  }
  const metrics = createMetrics({ defaults: false })
  const connection = await SqliteConnection.open(join(folder, 'registry.db'), metrics)
  const watched = overriding(connection, {
    executeQuery: (query) => {
      keep()
      return connection.executeQuery(query)
    },
  })
  const db = new Kysely<RegistrySchema>({ dialect: change(sqliteDialect(watched, metrics)) })
  await migrateToLatest(db, sqliteFlavour)
  keep()
  await db.destroy()
  return [...states.values()]
}

/** Tables and rows, without when a migration ran, once the registry was opened and closed. */
async function opened(folder: string, credentialKey: Buffer): Promise<unknown> {
  const file = join(folder, 'registry.db')
  const [logger, metrics] = [createLogger('silent'), createMetrics({ defaults: false })]
  await (await openSqliteRegistry({ file, credentialKey, logger, metrics })).close()
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    const tables = db.prepare("select name, sql from sqlite_schema where type = 'table' order by name").all()
    return tables.map(({ name, sql }) => {
      const rows = db.prepare(`select * from "${String(name)}"`).all()
      return { sql, rows: rows.map((row) => JSON.stringify({ ...row, timestamp: undefined })).sort() }
    })
  } finally {
    db.close()
  }
}

async function check(change: (dialect: Dialect) => Dialect): Promise<number> {
  const { folder } = unpack('6a8afcf')
  const key = loadCredentialKey(join(folder, 'credential-key'))
  const states = await killedAtEachStatement(folder, change)
  const whole = await opened(folder, key)
  for (const state of states) expect(await opened(state, key)).toEqual(whole)
  return states.length
}

describe('a registry of the version before whose migration was killed', { timeout: 120_000 }, () => {
  it('at any statement is opened, with all that was in it', async () => {
    expect(await check((dialect) => dialect)).toBeGreaterThan(1)
  })

  it('is not, if a migration is not whole or absent', async () => {
    const inParts = (dialect: Dialect): Dialect => ({ ...dialect, createAdapter: () => new PartsAdapter() })
    await expect(check(inParts)).rejects.toThrow('duplicate column')
  })
})

class PartsAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }

  override get supportsTransactionalDdl(): boolean {
    return false
  }
}
