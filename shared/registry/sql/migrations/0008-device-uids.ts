import { sql, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { makeTable } from '../make-table.ts'
import type { SqlFlavour } from '../sql-flavour.ts'

/**
 * What a device is stored under, whatever it is called: every device that is there has its name. A process of the version
 * before writes devices without one, which then are stored under their names, too.
 */
export function deviceUidsMigration(flavour: SqlFlavour): Migration {
  return {
    async up(db: Kysely<unknown>): Promise<void> {
      const { schema } = db
      const table = schema
        .createTable('device_identities')
        .addColumn('tenant', 'varchar(64)', (column) => column.notNull())
        .addColumn('uid', 'varchar(128)', (column) => column.notNull())
        .addColumn('name', 'varchar(128)', (column) => column.notNull())
        .addColumn('created_ms', 'bigint', (column) => column.notNull())
        .addColumn('removed_ms', 'bigint')
        .addPrimaryKeyConstraint('device_identities_key', ['tenant', 'uid'])
      await makeTable(flavour, table)
      const index = schema.createIndex('device_identities_by_name').ifNotExists().on('device_identities')
      await index.columns(['tenant', 'name']).execute()
      await schema
        .alterTable('devices')
        // MariaDB keeps what a migration did that was killed half way, and SQLite does not know the words.
        .addColumn('uid', 'varchar(128)', (column) => (flavour.isShared ? column.ifNotExists() : column))
        .execute()
      await sql`
        insert into device_identities (tenant, uid, name, created_ms)
        select tenant, device, device, created_ms from devices where not exists (
          select 1 from device_identities known where known.tenant = devices.tenant and known.uid = devices.device
        )`.execute(db)
      await sql`update devices set uid = device where uid is null`.execute(db)
    },
  }
}
