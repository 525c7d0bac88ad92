import { type ColumnDataType, type Kysely, type RawBuilder } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { SqlFlavour } from '../sql-flavour.ts'

type ColumnType = ColumnDataType | RawBuilder<unknown>

/** 128 bytes of UTF-8 are at most as many characters. */
const NAME = 'varchar(128)'
/** `{tenant}/{device}` */
const LOGIN = 'varchar(193)'

/** Room for devices and streams of 128 bytes and fields of 1,024. SQLite holds texts of any length as it is. */
export function namesMigration(flavour: SqlFlavour): Migration {
  return {
    async up({ schema }: Kysely<unknown>): Promise<void> {
      if (flavour.longestName === undefined) return
      const columns: readonly (readonly [table: string, column: string, type: ColumnType])[] = [
        ['devices', 'device', NAME],
        ['device_state', 'device', NAME],
        ['device_state', 'stream', NAME],
        ['device_presence', 'device', NAME],
        ['device_limits', 'device', NAME],
        ['field_types', 'stream', NAME],
        ['field_types', 'field', flavour.longestName],
        ['credentials', 'principal', LOGIN],
        ['credential_pairs', 'principal', LOGIN],
        ['imported_passwords', 'principal', LOGIN],
        ['login_states', 'name', LOGIN],
        ['registry_changes', 'name', LOGIN],
        ['registry_endings', 'name', LOGIN],
        ['acl_rules', 'topic', 'varchar(1024)'],
      ]
      for (const [table, column, type] of columns) {
        await schema
          .alterTable(table)
          .modifyColumn(column, type, (definition) => definition.notNull())
          .execute()
      }
      // What was made before it, by a rotation and a first login, is named like its login.
      await schema.alterTable('credentials').modifyColumn('credential', LOGIN).execute()
      await schema
        .alterTable('credential_pairs')
        .modifyColumn('credential', LOGIN, (definition) => definition.notNull())
        .execute()
    },
  }
}
