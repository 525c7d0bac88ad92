import {
  CompiledQuery,
  MysqlAdapter,
  MysqlIntrospector,
  MysqlQueryCompiler,
  sql,
  ValueNode,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type LimitNode,
} from 'kysely'
import { SluiceError } from '../../errors.ts'
import { MariadbConnection } from './connection.ts'
import type { MariadbMetrics } from './metrics.ts'
import type { MariadbPool } from './pool.ts'

export interface MariadbDialectOptions {
  readonly pool: MariadbPool
  readonly metrics: MariadbMetrics
}

/** kysely on a pool of connections; owns the pool. */
export function mariadbDialect(options: MariadbDialectOptions): Dialect {
  return {
    createDriver: () => new PoolDriver(options),
    createQueryCompiler: () => new TextCompiler(),
    createAdapter: () => new LockingAdapter(),
    createIntrospector: (db: Kysely<unknown>) => new MysqlIntrospector(db),
  }
}

/** Parameters travel as text, which LIMIT does not take. */
class TextCompiler extends MysqlQueryCompiler {
  protected override visitLimit(node: LimitNode): void {
    const limit = ValueNode.is(node.limit) ? node.limit.value : undefined
    if (!Number.isSafeInteger(limit)) throw new TypeError('LIMIT is a whole number')
    this.append('limit ')
    this.appendImmediateValue(limit)
  }
}

/** Longer than any migration of a registry takes, so that a second process waits for the first. */
const MIGRATION_WAIT_MS = 60_000
/** One wait for the lock: shorter than the socket's timeout. */
const LOCK_WAIT_S = 2

class LockingAdapter extends MysqlAdapter {
  /** Locks are the server's, not the database's: the name tells databases of one server apart. */
  readonly #lock = sql`concat(left(database(), 40), '/sluice-migrations')`

  // kysely's own takes a timeout for success.
  override async acquireMigrationLock(db: Kysely<unknown>): Promise<void> {
    const end = performance.now() + MIGRATION_WAIT_MS
    while (performance.now() < end) {
      const query = sql<{ locked: number | null }>`select get_lock(${this.#lock}, ${sql.lit(LOCK_WAIT_S)}) as locked`
      if ((await query.execute(db)).rows[0]?.locked === 1) return
    }
    throw new SluiceError('registry_unavailable', 'another process has been migrating the registry schema for a minute')
  }

  override async releaseMigrationLock(db: Kysely<unknown>): Promise<void> {
    await sql`select release_lock(${this.#lock})`.execute(db)
  }
}

class PoolDriver implements Driver {
  readonly #pool: MariadbPool
  readonly #metrics: MariadbMetrics

  constructor({ pool, metrics }: MariadbDialectOptions) {
    this.#pool = pool
    this.#metrics = metrics
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    try {
      return new MariadbConnection(await this.#pool.connection(), this.#metrics)
    } catch (error) {
      this.#metrics.failed(error)
      throw error
    }
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    if (connection instanceof MariadbConnection) await connection.release()
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (connection instanceof MariadbConnection) await connection.rollback()
  }

  async destroy(): Promise<void> {
    await this.#pool.end()
  }
}
