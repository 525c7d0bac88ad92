import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { STAYING_TABLES } from '../../shared/registry/sql/sql-tables.ts'
import { openSqliteTables } from '../../shared/registry/sqlite/open.ts'
import { tempFolder } from '../helpers.ts'

it('every table of a registry moves, or is known to stay', async () => {
  const file = join(tempFolder(), 'registry.db')
  const options = { file, credentialKey: Buffer.alloc(32, 1), logger: createLogger('silent') }
  const tables = await openSqliteTables({ ...options, metrics: createMetrics({ defaults: false }) })
  await tables.close()
  const database = new DatabaseSync(file, { readOnly: true })
  const rows = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").all()
  database.close()
  const made = rows.map((row) => String(row['name'])).filter((name) => !name.startsWith('kysely_'))
  expect([...tables.names, ...STAYING_TABLES].sort()).toEqual(made.sort())
})
