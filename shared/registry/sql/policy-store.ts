import type { Kysely, Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { checkNewName } from '../../names.ts'
import { idOf, type PolicyDocument, type PolicyScope } from '../../policies/document.ts'
import { formatRevision } from '../../policies/revision.ts'
import { afterFiles, afterSet, type Layered, type PolicySources } from '../../policies/sources.ts'
import type { Logger } from '../../process/logger.ts'
import type { Policies, PolicyRevision } from '../policies-port.ts'
import { compareText } from '../../text-order.ts'
import type { ChangeFeed } from './change-feed.ts'
import { pinDecoders } from './decoder-pins.ts'
import { KnownRows } from './known-rows.ts'
import { chunks } from './queries-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'

type Db = Kysely<RegistrySchema>
type Row = RegistrySchema['policies']

/** What the change feed is told when a policy changed: no login has such a name. */
export const POLICIES_CHANGED = '\u001epolicies'

/** Gives the document with the content of each uploaded decoder that it names. */
type Pin = (document: PolicyDocument, mayBeMissing?: boolean) => Promise<PolicyDocument>

interface Parts {
  readonly database: RegistryDatabase
  readonly changes: ChangeFeed
  readonly flavour: SqlFlavour
  readonly logger: Logger
}

/** Policies in the registry, and what of them is in force in memory: one short id for each tenant that has some. */
export class SqlPolicies implements Policies {
  readonly #parts: Parts
  readonly #rows: KnownRows
  /** Ids in force by scope as it is stored; without those that say nothing. */
  #ids = new Map<string, string>()
  epoch = 0

  private constructor(parts: Parts) {
    this.#parts = parts
    const isNews = (name: string) => name === POLICIES_CHANGED
    const read = () => this.#readAll()
    this.#rows = new KnownRows({ ...parts, isNews, what: 'policies', read })
  }

  static async open(parts: Parts): Promise<SqlPolicies> {
    const policies = new SqlPolicies(parts)
    await policies.#readAll()
    return policies
  }

  revisionOf(tenant: string): string | undefined {
    if (this.#ids.size === 0) return undefined
    return formatRevision(this.#ids.get(tenant) ?? '', this.#ids.get('') ?? '')
  }

  known(): Promise<void> {
    return this.#rows.known()
  }

  async read(scope: PolicyScope): Promise<PolicyRevision | undefined> {
    const [newest] = await this.history(scope, 1)
    return newest
  }

  async list(): Promise<readonly PolicyRevision[]> {
    const rows = await this.#parts.database.run((db) => inForce(db).selectAll('policies').execute())
    return rows.map(fromRow).sort((a, b) => compareText(a.scope ?? '', b.scope ?? ''))
  }

  async history(scope: PolicyScope, limit: number): Promise<readonly PolicyRevision[]> {
    const rows = await this.#parts.database.run((db) =>
      db
        .selectFrom('policies')
        .selectAll()
        .where('scope', '=', scope ?? '')
        .orderBy('revision', 'desc')
        .limit(limit)
        .execute(),
    )
    return rows.map(fromRow)
  }

  async put({ scope, document, from, who }: Parameters<Policies['put']>[0]): Promise<PolicyRevision> {
    const put = await this.#change(scope, who, async (newest, pin) => {
      if ((newest?.revision ?? 0) !== from) throw changed(from)
      return afterSet(newest, await pin(document), scope, who)
    })
    if (put === undefined) throw changed(from) // never: what was set is always a revision
    return put
  }

  async overlay({ scope, overlay, who }: Parameters<Policies['overlay']>[0]): Promise<PolicyRevision | undefined> {
    return this.#change(scope, who, async (newest, pin) =>
      afterFiles(newest, { ...overlay, document: await pin(overlay.document, true) }, scope),
    )
  }

  /** Another revision, of what `make` makes of the newest one; none where it makes nothing. */
  async #change(
    scope: PolicyScope,
    who: string,
    make: (newest: PolicyRevision | undefined, pin: Pin) => Promise<Layered | undefined>,
  ): Promise<PolicyRevision | undefined> {
    const { database, changes, flavour } = this.#parts
    if (scope !== undefined) checkNewName('tenant', scope)
    database.checkRoom()
    let row: Row | undefined
    await changes.apply([POLICIES_CHANGED], async (trx) => {
      const query = trx
        .selectFrom('policies')
        .selectAll()
        .where('scope', '=', scope ?? '')
      const newest = await query.orderBy('revision', 'desc').limit(1).executeTakeFirst()
      const from = newest?.revision ?? 0
      const made = await make(newest === undefined ? undefined : fromRow(newest), (document, mayBeMissing) =>
        pinDecoders(trx, scope, document, mayBeMissing),
      )
      row = made === undefined ? undefined : toRow(made, scope, from + 1, who)
      if (row === undefined) return
      try {
        await trx.insertInto('policies').values(row).execute()
      } catch (error) {
        // Another process was first, between the look and the insert.
        throw flavour.isDuplicate(error) ? changed(from) : error
      }
    })
    await this.known()
    return row === undefined ? undefined : fromRow(row)
  }

  async find(ids: readonly string[]): Promise<ReadonlyMap<string, PolicyDocument>> {
    const found = new Map<string, PolicyDocument>()
    for (const part of chunks(ids)) {
      const rows = await this.#parts.database.run((db) =>
        db.selectFrom('policies').select(['id', 'document']).where('id', 'in', part).execute(),
      )
      for (const { id, document } of rows) if (!found.has(id)) found.set(id, parse(document))
    }
    return found
  }

  close(): Promise<void> {
    return this.#rows.close()
  }

  async #readAll(): Promise<void> {
    const rows = await this.#parts.database.run((db) => inForce(db).select(['policies.scope', 'policies.id']).execute())
    this.#ids = new Map(rows.filter(({ id }) => id !== '').map(({ scope, id }) => [scope, id]))
    this.epoch += 1
  }
}

/** The newest row of each scope. */
function inForce(db: Db) {
  const newest = db
    .selectFrom('policies')
    .select(['scope', (eb) => eb.fn.max('revision').as('revision')])
    .groupBy('scope')
    .as('newest')
  return db
    .selectFrom('policies')
    .innerJoin(newest, (join) =>
      join.onRef('newest.scope', '=', 'policies.scope').onRef('newest.revision', '=', 'policies.revision'),
    )
}

function changed(from: number): SluiceError {
  return new SluiceError('policy_changed', `revision ${from} is not the one in force`)
}

function toRow({ document, sources }: Layered, scope: PolicyScope, revision: number, who: string): Row {
  return {
    scope: scope ?? '',
    revision,
    id: idOf(document),
    document: JSON.stringify(document),
    sources: JSON.stringify(sources) ?? null,
    at_ms: Date.now(),
    who: who.slice(0, 256).toWellFormed(),
  }
}

function fromRow({ scope, revision, id, document, sources, at_ms: atMs, who }: Row): PolicyRevision {
  const layers = sources === null ? undefined : (JSON.parse(sources) as PolicySources) // our own text
  const own = { revision, id, document: parse(document), sources: layers, atMs, who }
  return { scope: scope === '' ? undefined : scope, ...own }
}

function parse(text: string): PolicyDocument {
  return JSON.parse(text) as PolicyDocument // our own text
}

/** Another revision of each policy in force that `change` makes another document of, in the transaction of what it follows. */
export async function changePolicies(
  trx: Transaction<RegistrySchema>,
  who: string,
  change: (document: PolicyDocument, scope: PolicyScope) => PolicyDocument,
): Promise<void> {
  for (const row of await inForce(trx).selectAll('policies').execute()) {
    const { scope, revision, document, sources } = fromRow(row)
    const changed = change(document, scope)
    if (idOf(changed) === row.id) continue
    const set = sources === undefined ? undefined : { ...sources, set: change(sources.set, scope) }
    const next = toRow({ document: changed, sources: set }, scope, revision + 1, who)
    await trx.insertInto('policies').values(next).execute()
  }
}
