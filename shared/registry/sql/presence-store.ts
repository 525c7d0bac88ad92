import type { Transaction } from 'kysely'
import { compareText } from '../../text-order.ts'
import { encodeName } from '../../names.ts'
import type { SqlFlavour } from './sql-flavour.ts'
import type { DeviceName } from '../names.ts'
import type { DeviceLimitRecord, Presence, PresenceRecord } from '../presence-port.ts'
import { chunks } from './queries-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

/** Keys in one WHERE: SQLite takes an expression of depth 1,000. */
const KEYS_PER_QUERY = 200
/** Rows of a statement: few different ones, because each is a statement of its own, which a database prepares and keeps. */
const SIZES = [1, 4, 16, 64, KEYS_PER_QUERY]

type Row = RegistrySchema['device_presence']

export class SqlPresence implements Presence {
  readonly #database: RegistryDatabase
  readonly #flavour: SqlFlavour

  constructor(database: RegistryDatabase, flavour: SqlFlavour) {
    this.#database = database
    this.#flavour = flavour
  }

  async record(changes: readonly PresenceRecord[]): Promise<void> {
    // In the order of the key: two nodes then never wait for each other in a circle.
    const rows = changes.map(toRow).sort((a, b) => compareText(keyOf(a), keyOf(b)))
    for (const part of chunks(rows, KEYS_PER_QUERY)) {
      await this.#database.run((db) => db.transaction().execute((trx) => this.#write(trx, filled(part))))
    }
  }

  async endNode(node: string, reason: string, sinceMs: number): Promise<void> {
    const ended = { connected: 0, reason: reason.slice(0, 64), since_ms: sinceMs }
    await this.#database.run((db) =>
      db.updateTable('device_presence').set(ended).where('node', '=', node).where('connected', '=', 1).execute(),
    )
  }

  async of(tenant: string, device: string): Promise<readonly PresenceRecord[]> {
    const rows = await this.#database.run((db) =>
      db
        .selectFrom('device_presence')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('device', '=', device)
        .orderBy('connected', 'desc')
        .orderBy('since_ms', 'desc')
        .execute(),
    )
    return rows.map(toRecord)
  }

  async ofAll(devices: readonly DeviceName[]): Promise<readonly PresenceRecord[]> {
    const found: PresenceRecord[] = []
    for (const part of chunks(devices, KEYS_PER_QUERY)) {
      const rows = await this.#database.run((db) =>
        db
          .selectFrom('device_presence')
          .selectAll()
          .where(({ or, and }) => or(part.map(({ tenant, device }) => and({ tenant, device }))))
          .execute(),
      )
      found.push(...rows.map(toRecord))
    }
    return found
  }

  async recordLimits(limits: readonly DeviceLimitRecord[]): Promise<void> {
    const rows = limits.map(({ tenant, device, code, limit, sinceMs, lastMs, count }) => ({
      ...{ tenant, device, code, limit_value: limit, since_ms: sinceMs, last_ms: lastMs, hits: count },
    }))
    await this.#database.run((db) =>
      db.transaction().execute(async (trx) => {
        for (const part of chunks(rows)) await trx.replaceInto('device_limits').values(part).execute()
      }),
    )
  }

  async limitsAfter(code: string, lastMs: number): Promise<readonly DeviceLimitRecord[]> {
    const rows = await this.#database.run((db) => {
      const query = db.selectFrom('device_limits').selectAll().where('code', '=', code).where('last_ms', '>', lastMs)
      return query.orderBy('last_ms').limit(1_000).execute()
    })
    return rows.map(toLimit)
  }

  async limitsOf(tenant: string, device: string): Promise<readonly DeviceLimitRecord[]> {
    const rows = await this.#database.run((db) =>
      db
        .selectFrom('device_limits')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('device', '=', device)
        .orderBy('last_ms', 'desc')
        .execute(),
    )
    return rows.map(toLimit)
  }

  /** What is older goes, and what is not there any more is put: what is newer stays. */
  async #write(trx: Transaction<RegistrySchema>, rows: readonly Row[]): Promise<void> {
    await trx
      .deleteFrom('device_presence')
      .where((build) =>
        build.or(
          rows.map((row) => {
            const epoch = row.epoch === 0 ? Number.MAX_SAFE_INTEGER : row.epoch
            const own = build.and([build('client_id', '=', row.client_id), build('epoch', '<=', epoch)])
            // Of a device that is connected all that has ended goes.
            const isReplaced = build.or([own, build('connected', '<', row.connected)])
            return build.and([build('tenant', '=', row.tenant), build('device', '=', row.device), isReplaced])
          }),
        ),
      )
      .execute()
    await this.#flavour.insertIfAbsent(trx.insertInto('device_presence').values(rows)).execute()
  }
}

/** The last row is repeated until the number is one of few: written again it changes nothing. */
function filled(rows: readonly Row[]): Row[] {
  const size = SIZES.find((most) => rows.length <= most) ?? rows.length
  const last = rows.slice(-1)
  return [...rows, ...Array.from({ length: size - rows.length }, () => last).flat()]
}

function toRecord({ client_id: clientId, since_ms: sinceMs, connected, reason, ...same }: Row): PresenceRecord {
  return { ...same, clientId, sinceMs, connected: connected === 1, reason: reason ?? undefined }
}

function toLimit(row: RegistrySchema['device_limits']): DeviceLimitRecord {
  const { limit_value: limit, since_ms: sinceMs, last_ms: lastMs, hits: count, ...same } = row
  return { ...same, limit, sinceMs, lastMs, count }
}

function toRow({ tenant, device, clientId, epoch, connected, node, sinceMs, address, reason }: PresenceRecord): Row {
  return {
    ...{ tenant, device, epoch, client_id: clientId.slice(0, 256), connected: connected ? 1 : 0, since_ms: sinceMs },
    ...{ node: node.slice(0, 64), address: address.slice(0, 64), reason: reason?.slice(0, 64) ?? null },
  }
}

function keyOf({ tenant, device, client_id: id }: Row): string {
  return `${tenant}/${encodeName(device)}/${id}`
}
