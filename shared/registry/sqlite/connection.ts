import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import { Histogram } from 'prom-client'
import { LATENCY_BUCKETS, type Metrics } from '../../process/metrics.ts'
import { ThreadClient } from '../../process/thread-client.ts'
import type { Calls, RegistryThread, SqliteFailure, SqliteQuery } from './messages.ts'

/** An error of the database, with SQLite's extended result code. */
export class SqliteError extends Error {
  readonly resultCode: number | undefined
  /** Undefined when the result code says it all. */
  readonly code: SqliteFailure['code']

  constructor({ message, resultCode, code }: SqliteFailure) {
    super(message)
    this.name = 'SqliteError'
    this.resultCode = resultCode
    this.code = code
  }
}

/** The only connection to the database in its thread. Errors: {@link SqliteError}, `registry_unavailable`, `closed`. */
export class SqliteConnection implements DatabaseConnection {
  readonly #thread: RegistryThread
  readonly #seconds: Histogram

  private constructor(thread: RegistryThread, metrics: Metrics) {
    this.#thread = thread
    this.#seconds = new Histogram({
      name: 'sluice_registry_query_seconds',
      help: 'Time from sending a statement to the registry database to its result',
      buckets: LATENCY_BUCKETS,
      registers: [metrics],
    })
  }

  /**
   * Opens (and makes) the database and takes its lock. `onError` is told of every failed statement before whoever asked.
   * Error: {@link SqliteError}.
   */
  static async open(
    file: string,
    metrics: Metrics,
    onError: (error: SqliteError) => void = () => {},
  ): Promise<SqliteConnection> {
    const { client } = await ThreadClient.start<Calls, undefined, never, SqliteFailure>({
      file: new URL('./thread.ts', import.meta.url),
      workerData: { file },
      name: 'registry',
      lostCode: 'registry_unavailable',
      toError(failure) {
        const error = new SqliteError(failure)
        onError(error)
        return error
      },
    })
    return new SqliteConnection(client, metrics)
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const query = { sql, parameters: parameters.map(toParameter) }
    const stop = this.#seconds.startTimer()
    const { rows, changes } = await this.#thread.ask('run', query)
    stop()
    // The rows are what the query selects: kysely's types vouch for them.
    return { rows: rows as R[], numAffectedRows: BigInt(changes) }
  }

  async *streamQuery<R>(): AsyncGenerator<QueryResult<R>> {
    throw new Error('the registry reads pages, not streams')
  }

  /** Ends the thread after what was asked before. */
  close(): Promise<void> {
    return this.#thread.close()
  }
}

function toParameter(value: unknown): SqliteQuery['parameters'][number] {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
    return value
  if (value instanceof Uint8Array) return value
  throw new TypeError(`the registry stores no ${typeof value}`)
}
