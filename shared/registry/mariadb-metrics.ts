import type { Pool } from 'mariadb'
import { Counter, Gauge, Histogram } from 'prom-client'
import type { Logger } from '../logger.ts'
import { LATENCY_BUCKETS, type Metrics } from '../metrics.ts'
import { isConflict, mariadbError } from './mariadb-errors.ts'

/** A statement of the registry reads or writes by key: one that takes longer lacks an index, a lock or a disk. */
const SLOW_MS = 200
/** Of a storm of slow statements one per this time is logged; all are counted. */
const LOG_SLOW_EVERY_MS = 10_000
/** Bulk inserts have a statement as long as their rows are many. */
const MAX_LOGGED_SQL = 300

/** What the operator sees of the database: how long statements take, which are slow or fail, and the pool. */
export class MariadbMetrics {
  readonly #logger: Logger
  readonly #seconds: Histogram
  readonly #slow: Counter
  readonly #conflicts: Counter
  readonly #errors: Counter<'code'>
  #lastLogged = -Infinity

  constructor(pool: Pool, logger: Logger, metrics: Metrics) {
    this.#logger = logger
    const registers = [metrics]
    this.#seconds = new Histogram({
      name: 'sluice_registry_query_seconds',
      help: 'From asking the registry database to its answer, per statement',
      buckets: LATENCY_BUCKETS,
      registers,
    })
    this.#slow = new Counter({
      name: 'sluice_registry_slow_queries_total',
      help: `Statements that the registry database answered after more than ${SLOW_MS} ms`,
      registers,
    })
    this.#conflicts = new Counter({
      name: 'sluice_registry_conflicts_total',
      help: 'Statements that the registry database gave up for others (deadlock, lock wait); they are repeated',
      registers,
    })
    this.#errors = new Counter({
      name: 'sluice_registry_errors_total',
      help: 'Statements and connections that failed, by error code; duplicates of a key are internal answers, not here',
      labelNames: ['code'],
      registers,
    })
    const gauges = {
      waiting: ['Queries and transactions that wait for the registry database', () => pool.taskQueueSize()],
      connections_active: ['Connections to the registry database in use', () => pool.activeConnections()],
      connections_idle: ['Connections to the registry database that wait for use', () => pool.idleConnections()],
    } as const
    for (const [name, [help, value]] of Object.entries(gauges)) {
      new Gauge({
        name: `sluice_registry_${name}`,
        help,
        registers,
        collect() {
          this.set(value())
        },
      })
    }
  }

  /** A statement begins; the result is called when it ended, well or not. */
  statement(sql: string): () => void {
    const start = performance.now()
    return () => {
      const ms = performance.now() - start
      this.#seconds.observe(ms / 1000)
      if (ms <= SLOW_MS) return
      this.#slow.inc()
      if (performance.now() - this.#lastLogged < LOG_SLOW_EVERY_MS) return
      this.#lastLogged = performance.now()
      this.#logger.warn({ sql: sql.slice(0, MAX_LOGGED_SQL), ms: Math.round(ms) }, 'slow registry statement')
    }
  }

  failed(error: unknown): void {
    if (isConflict(error)) {
      this.#conflicts.inc()
      return
    }
    const { code } = mariadbError(error)
    if (code !== 'internal') this.#errors.inc({ code })
  }
}
