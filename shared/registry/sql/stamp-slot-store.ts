import { sql } from 'kysely'
import type { SlotChange, StampSlot, StampSlots } from '../stamp-slots-port.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'

type Row = RegistrySchema['stamp_slots']

export class SqlStampSlots implements StampSlots {
  readonly #database: RegistryDatabase
  readonly #flavour: SqlFlavour

  constructor(database: RegistryDatabase, flavour: SqlFlavour) {
    this.#database = database
    this.#flavour = flavour
  }

  change<T>(change: SlotChange<T>): Promise<T> {
    const { isShared, nowMs } = this.#flavour
    return this.#database.run((db) =>
      db.transaction().execute(async (trx) => {
        const query = trx.selectFrom('stamp_slots').selectAll().orderBy('slot')
        // The locks come with the first read: a snapshot from before them would be one of the past.
        const rows = await (isShared ? query.forUpdate() : query).execute()
        // Asked behind the locks, which may have been waited for.
        const now = await sql<{ now: number }>`select ${nowMs} as now`.execute(trx)
        const { write, result } = change(rows.map(fromRow), now.rows[0]?.now ?? 0)
        if (write !== undefined) {
          const { slot, ...columns } = toRow(write)
          await trx.updateTable('stamp_slots').set(columns).where('slot', '=', slot).execute()
        }
        return result
      }),
    )
  }

  async read(slot: number): Promise<StampSlot | undefined> {
    const row = await this.#database.run((db) =>
      db.selectFrom('stamp_slots').selectAll().where('slot', '=', slot).executeTakeFirst(),
    )
    return row === undefined ? undefined : fromRow(row)
  }
}

function fromRow({ claimed_ms: claimedMs, renewed_ms: renewedMs, given_back: givenBack, ...same }: Row): StampSlot {
  return { ...same, claimedMs, renewedMs, isGivenBack: givenBack === 1 }
}

function toRow({ claimedMs, renewedMs, isGivenBack, ...same }: StampSlot): Row {
  return { ...same, claimed_ms: claimedMs, renewed_ms: renewedMs, given_back: isGivenBack ? 1 : 0 }
}
