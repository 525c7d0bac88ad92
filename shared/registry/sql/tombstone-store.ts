import type { Kysely } from 'kysely'
import { pause } from '../../backoff.ts'
import { SluiceError } from '../../errors.ts'
import { LatestStream } from '../../latest-state.ts'
import { gaugeOf, type Metrics } from '../../process/metrics.ts'
import {
  MAX_TOMBSTONES,
  TombstoneView,
  TOMBSTONES_MAX_AGE_MS,
  type Tombstone,
  type Tombstones,
} from '../tombstones-port.ts'
import { statesOfDevice } from './queries-state.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import { encodeFields } from './state-fields.ts'

type Db = Kysely<RegistrySchema>
type Row = RegistrySchema['tombstones']

/** Looks for a view that is young enough before a database is called too slow. */
const MAX_LOOKS = 3

/** When the end of a tombstone lies ahead: several times what a process may be behind, for clocks that differ. */
const CLOSE_AHEAD_MS = 5 * TOMBSTONES_MAX_AGE_MS
/** One process knows as soon as it is stored. */
const CLOSE_AHEAD_ALONE_MS = 1_000

/** What is known is kept in memory; of a database that others change, too, it is asked again when it is old. */
export class SqlTombstones implements Tombstones {
  readonly #database: RegistryDatabase
  readonly #flavour: SqlFlavour
  #view = new TombstoneView()
  /** When the look began that made the view; undefined when it has to be made anew. */
  #asOf: number | undefined
  #looking: Promise<void> | undefined
  /** Own changes: a look that began before one does not know it. */
  #changes = 0

  constructor(database: RegistryDatabase, flavour: SqlFlavour, metrics: Metrics) {
    this.#database = database
    this.#flavour = flavour
    const help = 'Spans of deleted readings that this process knows, of which nothing is stored again'
    gaugeOf(metrics, 'sluice_registry_tombstones', help, () => this.#view.all.length)
  }

  async current(): Promise<TombstoneView> {
    for (let looks = 0; this.#isOld(); looks++) {
      if (looks === MAX_LOOKS) throw new SluiceError('registry_unavailable', 'the registry answers too late')
      await (this.#looking ??= this.#look())
    }
    return this.#view
  }

  async put(tombstone: Omit<Tombstone, 'receivedMs'>): Promise<Tombstone> {
    this.#database.checkRoom()
    const row = toRow(tombstone)
    const put = await this.#transaction(async (trx) => {
      const { count } = await countsOf(trx)
      if (count >= MAX_TOMBSTONES) throw new SluiceError('rate_limited', `there are ${count} tombstones already`)
      await this.#flavour.insertIfAbsent(trx.insertInto('tombstones').values(row)).execute()
      return trx.selectFrom('tombstones').selectAll().where('id', '=', row.id).executeTakeFirstOrThrow()
    })
    await this.#lookAgain()
    // Half as long again: clocks of two machines do not run alike.
    if (this.#flavour.isShared) await pause(1.5 * TOMBSTONES_MAX_AGE_MS)
    return toTombstone(put)
  }

  async close(id: string): Promise<Tombstone | undefined> {
    const until = Date.now() + (this.#flavour.isShared ? CLOSE_AHEAD_MS : CLOSE_AHEAD_ALONE_MS)
    await this.#transaction(async (trx) => {
      const row = trx.updateTable('tombstones').set({ received_ms: until }).where('id', '=', id)
      await row.where('received_ms', 'is', null).execute()
    })
    await this.#lookAgain()
    const closed = this.#view.all.find((one) => one.id === id)
    await pause(Math.max(0, Math.min(CLOSE_AHEAD_MS, (closed?.receivedMs ?? 0) + 1 - Date.now())))
    return closed
  }

  async clearLatest(tombstone: Tombstone): Promise<void> {
    const { tenant, uid } = tombstone
    await this.#transaction(async (trx) => {
      for (const state of await statesOfDevice(trx, tenant, uid)) {
        const { device, stream } = state
        const latest = new LatestStream({ tenant, device, stream }, state)
        if (!latest.erase(tombstone)) continue
        await trx
          .updateTable('device_state')
          .set({ fields: encodeFields(latest.toState().fields) })
          .where('tenant', '=', tenant)
          .where('device', '=', device)
          .where('stream', '=', stream)
          .where('log_offset', '=', state.offset)
          .execute()
      }
    })
  }

  /** Nobody else changes a database of one process. */
  #isOld(): boolean {
    if (this.#asOf === undefined) return true
    return this.#flavour.isShared && performance.now() - this.#asOf > TOMBSTONES_MAX_AGE_MS
  }

  /** What this process changed is known to it at once. */
  async #lookAgain(): Promise<void> {
    this.#changes += 1
    this.#asOf = undefined
    await this.current()
  }

  async #look(): Promise<void> {
    try {
      const asOf = performance.now()
      const changes = this.#changes
      const rows = await this.#database.run((db) => this.#changed(db))
      if (rows !== undefined) this.#view = new TombstoneView(rows.map(toTombstone))
      if (changes === this.#changes) this.#asOf = asOf
    } finally {
      this.#looking = undefined
    }
  }

  /** Undefined when nothing has changed: rows are put and closed, and stay. */
  async #changed(db: Db): Promise<Row[] | undefined> {
    const { all } = this.#view
    const { count, closed } = await countsOf(db)
    if (count === all.length && closed === all.filter(({ receivedMs }) => receivedMs !== undefined).length)
      return undefined
    return db.selectFrom('tombstones').selectAll().execute()
  }

  #transaction<T>(work: (trx: Db) => Promise<T>): Promise<T> {
    return this.#database.run((db) => db.transaction().execute(work))
  }
}

async function countsOf(db: Db): Promise<{ count: number; closed: number }> {
  const query = db
    .selectFrom('tombstones')
    .select(({ fn }) => [fn.countAll<number>().as('count'), fn.count<number>('received_ms').as('closed')])
  const { count, closed } = await query.executeTakeFirstOrThrow()
  return { count: Number(count), closed: Number(closed) }
}

function toRow({ id, tenant, uid, stream, from, to }: Omit<Tombstone, 'receivedMs'>): Row {
  const span = { from_ms: from.ms, from_ns: from.ns, to_ms: to.ms, to_ns: to.ns }
  return { id, tenant, uid, stream: stream ?? null, ...span, received_ms: null }
}

function toTombstone({ id, tenant, uid, stream, received_ms: receivedMs, ...span }: Row): Tombstone {
  const from = { ms: span.from_ms, ns: span.from_ns }
  const to = { ms: span.to_ms, ns: span.to_ns }
  return { id, tenant, uid, stream: stream ?? undefined, from, to, receivedMs: receivedMs ?? undefined }
}
