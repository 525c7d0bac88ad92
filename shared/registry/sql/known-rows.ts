import { BACKOFF, backoffMs } from '../../backoff.ts'
import { toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import type { ChangeFeed } from './change-feed.ts'

interface Options {
  readonly changes: ChangeFeed
  readonly logger: Logger
  /** Whether what the change feed is told means that there is something to read. */
  readonly isNews: (name: string) => boolean
  /** For people, such as `policies`. */
  readonly what: string
  /** Reads what changed, or all that is kept in memory. After a failure it is called again, and has to read no less. */
  readonly read: () => Promise<void>
}

/** Has rows of the registry in memory read again whenever somebody changed them: once more while they are being read. */
export class KnownRows {
  readonly #options: Options
  readonly #unsubscribe: () => void
  #isStale = false
  #reading: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: Options) {
    this.#options = options
    this.#unsubscribe = options.changes.listen((name) => {
      if (options.isNews(name)) this.look()
    })
  }

  /** There is something to read. */
  look(): void {
    this.#isStale = true
    this.#start()
  }

  /** Resolves when the changes so far were read, or could not be. */
  async known(): Promise<void> {
    while (this.#reading !== undefined) await this.#reading
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#unsubscribe()
    clearTimeout(this.#timer)
    await this.#reading
  }

  #start(): void {
    if (this.#reading === undefined && this.#timer === undefined && !this.#closed) this.#reading = this.#read()
  }

  /** Never rejects: what could not be read is read later. */
  async #read(): Promise<void> {
    this.#isStale = false
    let pauseMs: number | undefined
    try {
      await this.#options.read()
    } catch (error) {
      this.#isStale = true
      pauseMs = backoffMs(BACKOFF.rules, 1)
      const { code } = toSluiceError(error)
      this.#options.logger.warn({ code }, `changed ${this.#options.what} are not known yet`)
    }
    this.#reading = undefined
    if (!this.#isStale || this.#closed) return
    if (pauseMs === undefined) this.#start()
    else this.#startLater(pauseMs)
  }

  #startLater(pauseMs: number): void {
    const again = (): void => {
      this.#timer = undefined
      this.#start()
    }
    this.#timer = setTimeout(again, pauseMs).unref()
  }
}
