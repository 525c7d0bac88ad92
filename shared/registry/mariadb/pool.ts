import type { EventEmitter } from 'node:events'
import { createConnection, createPool, type Pool, type PoolConfig, type PoolConnection } from 'mariadb'
import { SluiceError, toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import { mariadbError } from './errors.ts'

/**
 * More than wait in the worst case meant to work, 10,000 clients that log in at once. What comes beyond is told to come
 * back; the time of waiting has the pool's own bound.
 */
const MAX_WAITING = 20_000

/**
 * The connector's pool, which is replaced when the server refuses the login and the settings say another one by now: a
 * secret in a file may change while the process runs.
 */
export class MariadbPool {
  readonly #configure: () => PoolConfig
  readonly #logger: Logger
  #config: PoolConfig
  #pool: Pool
  #asking: Promise<SluiceError | undefined> | undefined
  #isEnded = false

  /** `configure` is asked at once, and again whenever a login is refused. Its errors are those of this constructor. */
  constructor(configure: () => PoolConfig, logger: Logger) {
    this.#configure = configure
    this.#logger = logger
    this.#config = configure()
    this.#pool = this.#open()
  }

  /** Queries and transactions that wait for a connection. */
  get waiting(): number {
    return this.#pool.taskQueueSize()
  }

  get active(): number {
    return this.#pool.activeConnections()
  }

  get idle(): number {
    return this.#pool.idleConnections()
  }

  /** A connection of the pool. Errors: `registry_unavailable`, `registry_refused`, those of the connector. */
  async connection(): Promise<PoolConnection> {
    if (this.waiting >= MAX_WAITING) throw new SluiceError('registry_unavailable', 'too many requests are waiting')
    const pool = this.#pool
    try {
      return await pool.getConnection()
    } catch (error) {
      this.#asking ??= this.#reason(pool).finally(() => {
        this.#asking = undefined
      })
      const reason = await this.#asking
      // Another login is tried at once; whoever waited for the old pool has waited long enough.
      if (reason === undefined && this.#pool !== pool) return this.#pool.getConnection()
      throw reason ?? error
    }
  }

  async end(): Promise<void> {
    this.#isEnded = true
    await this.#pool.end()
  }

  #open(): Pool {
    const pool = createPool(this.#config)
    // The pool goes on trying; who asks it for a connection hears of it. Its types lack the event.
    const events = pool as unknown as EventEmitter
    events.on('error', (error: unknown) => this.#logger.debug({ detail: mariadbError(error).message }, 'no connection'))
    return pool
  }

  /**
   * Why no connection can be had at the moment; undefined when one can. The pool only tells its first failure since it
   * last worked, which may be of a server that has come up since and refuses the password.
   */
  async #reason(pool: Pool): Promise<SluiceError | undefined> {
    if (this.#pool !== pool || pool.activeConnections() > 0) return undefined
    const reason = await this.#tryLogin()
    if (reason?.code !== 'registry_refused' || this.#isEnded || !this.#readAnew()) return reason
    this.#logger.info('MariaDB rejected the login; using the changed setting')
    this.#pool = this.#open()
    // It has no connection that works; what waits for one is told.
    void pool
      .end()
      .catch((error: unknown) => this.#logger.debug({ err: error }, 'closing the old connection pool failed'))
    return undefined
  }

  async #tryLogin(): Promise<SluiceError | undefined> {
    try {
      const connection = await createConnection(this.#config)
      await connection.end()
      return undefined
    } catch (error) {
      return mariadbError(error)
    }
  }

  /** Whether the settings are others by now. A file that cannot be read at the moment changes nothing. */
  #readAnew(): boolean {
    try {
      const config = this.#configure()
      if (JSON.stringify(config) === JSON.stringify(this.#config)) return false
      this.#config = config
      return true
    } catch (error) {
      this.#logger.error({ detail: toSluiceError(error).message }, 'cannot re-read the settings of MariaDB')
      return false
    }
  }
}
