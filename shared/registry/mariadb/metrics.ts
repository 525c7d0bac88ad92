import { Counter, Histogram } from 'prom-client'
import type { Logger } from '../../process/logger.ts'
import { LruMap } from '../../lru.ts'
import { gaugeOf, LATENCY_BUCKETS, type Metrics } from '../../process/metrics.ts'
import { isConflict, mariadbError } from './errors.ts'
import type { MariadbPool } from './pool.ts'

/** A statement of the registry reads or writes by key: one that takes longer lacks an index, a lock or a disk. */
const SLOW_MS = 200
/** Of a storm of slow statements each one is logged once per this time; all are counted. */
const LOG_SLOW_EVERY_MS = 10_000
/** The registry has a few dozen statements; bulk inserts add some, by their number of rows. */
const MAX_STATEMENTS = 100
/** Bulk inserts have a statement as long as their rows are many. */
const MAX_LOGGED_SQL = 300

/** What the operator sees of the database: how long statements take, which are slow or fail, and the pool. */
export class MariadbMetrics {
  readonly #logger: Logger
  readonly #seconds: Histogram
  readonly #slow: Counter
  readonly #conflicts: Counter
  readonly #errors: Counter<'code'>
  /** When each slow statement was logged last, on the monotonic clock. */
  readonly #logged = new LruMap<string, number>(MAX_STATEMENTS)

  constructor(pool: Pick<MariadbPool, 'waiting' | 'active' | 'idle'>, logger: Logger, metrics: Metrics) {
    this.#logger = logger
    const registers = [metrics]
    this.#seconds = new Histogram({
      name: 'sluice_registry_query_seconds',
      help: 'Time from sending a statement to the registry database to its result',
      buckets: LATENCY_BUCKETS,
      registers,
    })
    this.#slow = new Counter({
      name: 'sluice_registry_slow_queries_total',
      help: `Statements that took the registry database more than ${SLOW_MS} ms`,
      registers,
    })
    this.#conflicts = new Counter({
      name: 'sluice_registry_conflicts_total',
      help: 'Statements rolled back by the registry database (deadlock, lock wait timeout) and retried',
      registers,
    })
    this.#errors = new Counter({
      name: 'sluice_registry_errors_total',
      help: 'Failed statements and connections, by error code; duplicate keys are expected and not counted',
      labelNames: ['code'],
      registers,
    })
    const gauges = {
      waiting: ['Queries and transactions waiting for the registry database', () => pool.waiting],
      connections_active: ['Connections to the registry database in use', () => pool.active],
      connections_idle: ['Idle connections to the registry database', () => pool.idle],
    } as const
    for (const [name, [help, value]] of Object.entries(gauges)) {
      gaugeOf(metrics, `sluice_registry_${name}`, help, value)
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
      const shown = sql.slice(0, MAX_LOGGED_SQL)
      if (performance.now() - (this.#logged.get(shown) ?? -Infinity) < LOG_SLOW_EVERY_MS) return
      this.#logged.set(shown, performance.now())
      this.#logger.warn({ sql: shown, ms: Math.round(ms) }, 'slow registry statement')
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
