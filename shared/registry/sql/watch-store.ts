import type { Kysely } from 'kysely'
import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import { gaugeOf, type Metrics } from '../../process/metrics.ts'
import { MAX_WATCHES, type Watch, type Watches } from '../watches-port.ts'
import type { ChangeFeed } from './change-feed.ts'
import { KnownRows } from './known-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'

/** What the change feed is told when a watch changed: no login has such a name. */
const WATCHES_CHANGED = '\u001ewatches'
/** Under which they are kept, as one document: they are few, and every process wants all. */
const FACT = 'watches'

interface Parts {
  readonly database: RegistryDatabase
  readonly changes: ChangeFeed
  readonly flavour: SqlFlavour
  readonly logger: Logger
  readonly metrics: Metrics
}

export class SqlWatches implements Watches {
  readonly #parts: Parts
  readonly #rows: KnownRows
  #watches: readonly Watch[] = []
  epoch = 0

  private constructor(parts: Parts) {
    this.#parts = parts
    const isNews = (name: string) => name === WATCHES_CHANGED
    this.#rows = new KnownRows({ ...parts, isNews, what: 'watches', read: () => this.#readAll() })
    const help = 'Devices under watch, see `sluice trace --watch`'
    gaugeOf(parts.metrics, 'sluice_registry_watches', help, () => this.list(Date.now()).length)
  }

  static async open(parts: Parts): Promise<SqlWatches> {
    const watches = new SqlWatches(parts)
    await watches.#readAll()
    return watches
  }

  untilMs(tenant: string, uid: string): number {
    return this.#watches.find((one) => one.tenant === tenant && one.uid === uid)?.untilMs ?? 0
  }

  list(nowMs: number): readonly Watch[] {
    return this.#watches.filter(({ untilMs }) => untilMs > nowMs)
  }

  async put(watch: Watch): Promise<void> {
    const { database, changes, flavour } = this.#parts
    database.checkRoom()
    await changes.apply([WATCHES_CHANGED], async (trx) => {
      // The row is there before it is locked.
      await flavour.insertIfAbsent(trx.insertInto('registry_facts').values({ name: FACT, value: '' })).execute()
      const others = (await read(trx, flavour.isShared)).filter(
        ({ tenant, uid, untilMs }) => untilMs > Date.now() && !(tenant === watch.tenant && uid === watch.uid),
      )
      if (others.length >= MAX_WATCHES) {
        throw new SluiceError('rate_limited', `${others.length} devices are under watch already`)
      }
      const value = JSON.stringify([...others, watch])
      await trx.updateTable('registry_facts').set({ value }).where('name', '=', FACT).execute()
    })
    await this.#rows.known()
  }

  close(): Promise<void> {
    return this.#rows.close()
  }

  async #readAll(): Promise<void> {
    this.#watches = await this.#parts.database.run((db) => read(db, false))
    this.epoch += 1
  }
}

async function read(db: Kysely<RegistrySchema>, isLocked: boolean): Promise<readonly Watch[]> {
  const query = db.selectFrom('registry_facts').select('value').where('name', '=', FACT)
  const row = await (isLocked ? query.forUpdate() : query).executeTakeFirst()
  return row === undefined || row.value === '' ? [] : (JSON.parse(row.value) as Watch[]) // our own text
}
