import type { PoolConnection } from 'mariadb'
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import { isReadOnly } from './errors.ts'
import type { MariadbMetrics } from './metrics.ts'

/** What the connector answers: rows of a query, or what a statement did. */
type Answer = readonly unknown[] | { readonly affectedRows: number; readonly insertId: number }

/** A connection lent by the pool. Errors: the connector's `SqlError`. */
export class MariadbConnection implements DatabaseConnection {
  readonly #connection: PoolConnection
  readonly #metrics: MariadbMetrics
  /** In a state that nobody else should get. */
  #spoilt = false

  constructor(connection: PoolConnection, metrics: MariadbMetrics) {
    this.#connection = connection
    this.#metrics = metrics
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const done = this.#metrics.statement(sql)
    try {
      const answer = await this.#connection.query<Answer>(sql, parameters.map(toText))
      if ('affectedRows' in answer) {
        return { rows: [], numAffectedRows: BigInt(answer.affectedRows), insertId: BigInt(answer.insertId) }
      }
      return { rows: answer.map(withTexts) as R[] } // the rows are what the query selects: kysely's types vouch for them
    } catch (error) {
      if (isReadOnly(error)) this.#spoilt = true
      this.#metrics.failed(error)
      throw error
    } finally {
      done()
    }
  }

  async *streamQuery<R>(): AsyncGenerator<QueryResult<R>> {
    throw new Error('the registry reads pages, not streams')
  }

  /** Never throws: what failed before counts, and the server rolls back what a connection leaves behind. */
  async rollback(): Promise<void> {
    try {
      await this.#connection.rollback()
    } catch (error) {
      this.#metrics.failed(error)
      this.#spoilt = true
    }
  }

  async release(): Promise<void> {
    if (this.#spoilt) this.#connection.destroy()
    else await this.#connection.release()
  }
}

/** A row with its texts that are kept as bytes, which are UTF-8. */
function withTexts(row: unknown): unknown {
  const cells = Object.entries(row as object)
  if (!cells.some(([, value]) => value instanceof Uint8Array)) return row
  return Object.fromEntries(
    cells.map(([name, value]) => [name, value instanceof Uint8Array ? Buffer.from(value).toString() : value]),
  )
}

/**
 * Every parameter travels as text: a number would make MariaDB compare a VARCHAR by its value, where 'pump' equals 0.
 * Columns of numbers take the text of one.
 */
function toText(value: unknown): string | null {
  if (value === null || typeof value === 'string') return value
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) return String(value)
  throw new TypeError(`the registry stores only whole numbers, not this ${typeof value}`)
}
