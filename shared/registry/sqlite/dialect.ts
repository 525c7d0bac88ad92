import {
  CompiledQuery,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
} from 'kysely'
import { SluiceError } from '../../errors.ts'
import { gaugeOf, type Metrics } from '../../process/metrics.ts'
import type { SqliteConnection } from './connection.ts'
import { COMMIT, ROLLBACK } from './messages.ts'

/**
 * More than wait for one connection in the worst case meant to work: 10,000 clients that log in at once. What comes
 * beyond is told to come back.
 */
const MAX_WAITING = 20_000

/** kysely on one {@link SqliteConnection}: queries and transactions take turns, first come, first served. */
export function sqliteDialect(connection: SqliteConnection, metrics: Metrics): Dialect {
  return {
    createDriver: () => new TurnDriver(connection, metrics),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TurnAdapter(),
    createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
  }
}

class TurnAdapter extends SqliteAdapter {
  // kysely's own lock for single connections wakes all who wait at each release; the driver below keeps a queue.
  override get supportsMultipleConnections(): boolean {
    return true
  }

  // SQLite does: a migration that fails half way leaves nothing behind.
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

class TurnDriver implements Driver {
  readonly #connection: SqliteConnection
  /** Settles when the last one in the queue is done. */
  #tail: Promise<void> = Promise.resolve()
  #endTurn: (() => void) | undefined
  #waiting = 0

  constructor(connection: SqliteConnection, metrics: Metrics) {
    this.#connection = connection
    gaugeOf(
      metrics,
      'sluice_registry_waiting',
      'Queries and transactions waiting for the registry database',
      () => this.#waiting,
    )
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#waiting >= MAX_WAITING) throw new SluiceError('registry_unavailable', 'too many requests are waiting')
    const before = this.#tail
    const turn = Promise.withResolvers<void>()
    this.#tail = turn.promise
    this.#waiting += 1
    await before
    this.#waiting -= 1
    this.#endTurn = turn.resolve
    return this.#connection
  }

  async releaseConnection(): Promise<void> {
    this.#endTurn?.()
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(COMMIT))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(ROLLBACK))
  }

  /** Behind everything that was asked before. */
  async destroy(): Promise<void> {
    await this.#tail
    await this.#connection.close()
  }
}
