import { Worker } from 'node:worker_threads'
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import { Histogram } from 'prom-client'
import { SluiceError } from '../../errors.ts'
import { LATENCY_BUCKETS, type Metrics } from '../../process/metrics.ts'
import type { SqliteAnswer, SqliteFailure, SqliteQuery, SqliteRequest } from './messages.ts'

/** An error of the database, with SQLite's extended result code. */
export class SqliteError extends Error {
  readonly resultCode: number | undefined

  constructor({ message, resultCode }: SqliteFailure) {
    super(message)
    this.name = 'SqliteError'
    this.resultCode = resultCode
  }
}

interface Pending {
  resolve(result: QueryResult<unknown>): void
  reject(error: Error): void
}

/** The only connection to the database in its thread. Errors: {@link SqliteError}, `registry_unavailable`, `closed`. */
export class SqliteConnection implements DatabaseConnection {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  readonly #exited = Promise.withResolvers<void>()
  readonly #seconds: Histogram
  #lastId = 0
  /** Why nothing can be asked any more. */
  #end: SluiceError | undefined

  private constructor(worker: Worker, metrics: Metrics) {
    this.#worker = worker
    this.#seconds = new Histogram({
      name: 'sluice_registry_query_seconds',
      help: 'Time from sending a statement to the registry database to its result',
      buckets: LATENCY_BUCKETS,
      registers: [metrics],
    })
    worker.on('message', (answer: SqliteAnswer) => this.#settle(answer))
    worker.on('error', (error: Error) => {
      this.#fail(
        new SluiceError('registry_unavailable', `the registry's thread failed: ${error.message}`, { cause: error }),
      )
    })
    worker.on('exit', () => {
      this.#fail(new SluiceError('registry_unavailable', "the registry's thread ended"))
      this.#exited.resolve()
    })
  }

  /** Opens (and makes) the database and takes its lock. Error: {@link SqliteError}. */
  static async open(file: string, metrics: Metrics): Promise<SqliteConnection> {
    const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: { file } })
    const connection = new SqliteConnection(worker, metrics)
    const opened = Promise.withResolvers<QueryResult<unknown>>()
    connection.#pending.set(0, opened)
    try {
      await opened.promise
      return connection
    } catch (error) {
      await worker.terminate()
      throw error
    }
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#end !== undefined) throw this.#end
    this.#lastId += 1
    const answered = Promise.withResolvers<QueryResult<unknown>>()
    this.#pending.set(this.#lastId, answered)
    const stop = this.#seconds.startTimer()
    this.#post({ id: this.#lastId, sql, parameters: parameters.map(toParameter) })
    const result = await answered.promise
    stop()
    return result as QueryResult<R> // the rows are what the query selects: kysely's types vouch for them
  }

  async *streamQuery<R>(): AsyncGenerator<QueryResult<R>> {
    throw new Error('the registry reads pages, not streams')
  }

  /** Ends the thread after what was asked before. */
  async close(): Promise<void> {
    if (this.#end === undefined) this.#post('close')
    await this.#exited.promise
    this.#end = new SluiceError('closed', 'the registry is closed')
  }

  #post(request: SqliteRequest): void {
    this.#worker.postMessage(request)
  }

  #settle(answer: SqliteAnswer): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if ('failure' in answer) pending?.reject(new SqliteError(answer.failure))
    else pending?.resolve({ rows: [...answer.rows], numAffectedRows: BigInt(answer.changes) })
  }

  #fail(error: SluiceError): void {
    this.#end ??= error
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
  }
}

function toParameter(value: unknown): SqliteQuery['parameters'][number] {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
    return value
  if (value instanceof Uint8Array) return value
  throw new TypeError(`the registry stores no ${typeof value}`)
}
