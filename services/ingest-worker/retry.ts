import type { Counter, Gauge } from 'prom-client'
import { BACKOFF, backoffMs, pause } from '../../shared/backoff.ts'
import { SluiceError, toSluiceError, type ErrorClass, type ErrorCode } from '../../shared/errors.ts'
import type { Logger } from '../../shared/process/logger.ts'
import type { UsefulTime } from './useful-time.ts'

/** The longest wait that is granted to a server that asks for one: it is asked again at least this often. */
const MAX_RETRY_AFTER_MS = 60_000

const PASSING: ReadonlySet<ErrorClass> = new Set(['transient', 'overload'])

/** What people have to mend: a stop does not wait for it. */
const FOR_PEOPLE: ReadonlySet<ErrorCode> = new Set(['disk_full', 'storage_failed'])

export interface RetryOptions {
  /** Ends all waiting: the attempt in progress is the last. */
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly retries: Counter<'dependency'>
  /** 1 while a dependency fails, by the code of its error: what to raise an alarm on. */
  readonly failing: Gauge<'dependency' | 'code'>
  readonly useful: Pick<UsefulTime, 'failed'>
}

export type Dependency = 'log' | 'points' | 'registry' | 'worker'

interface Problem {
  readonly dependency: Dependency
  readonly error: SluiceError
}

/**
 * Repeats what failed until it succeeds, for ever: the log keeps what waits. Only the step that failed is repeated.
 * Remembers what is wrong at the moment, by dependency, for the status.
 */
export class Retry {
  readonly #options: RetryOptions
  /** By the step that fails: what works in another step on the same dependency solves nothing for this one. */
  readonly #problems = new Map<symbol, Problem>()
  #giveUp: (() => void) | undefined

  constructor(options: RetryOptions) {
    this.#options = options
  }

  /** Whether the signal ended all waiting: what rejects from now on was given up, and did not fail. */
  get ended(): boolean {
    return this.#options.signal.aborted
  }

  /** What is failing now, for a person; undefined when nothing is. */
  problem(): string | undefined {
    if (this.#problems.size === 0) return undefined
    const problems = Array.from(this.#problems.values(), ({ dependency, error }) => {
      return `${dependency}: ${error.code}: ${error.message}`
    })
    return [...new Set(problems)].join('; ')
  }

  /** Calls `giveUp`, now or later, when a step fails for a reason that a stop does not wait for. */
  whenHopeless(giveUp: () => void): void {
    this.#giveUp = giveUp
    if (Array.from(this.#problems.values()).some(({ error }) => FOR_PEOPLE.has(error.code))) giveUp()
  }

  /**
   * Resolves with what `attempt` resolves with. Rejects with `closed` once the signal is aborted, and at once with an
   * error that `isAnswer` takes for an answer of the dependency rather than a failure.
   */
  async run<T>(
    dependency: Dependency,
    attempt: () => Promise<T>,
    isAnswer: (error: SluiceError) => boolean = () => false,
  ): Promise<T> {
    const { signal, logger, retries, useful } = this.#options
    const step = Symbol(dependency)
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted()
      const started = performance.now()
      try {
        const result = await attempt()
        if (this.#solved(step)) logger.info({ dependency, failures: failures - 1 }, 'works again')
        return result
      } catch (caught) {
        const error = toSluiceError(caught)
        if (signal.aborted) throw closed()
        if (isAnswer(error)) {
          this.#solved(step)
          throw error
        }
        retries.inc({ dependency })
        const known = this.#failed(step, { dependency, error })
        const backoff = BACKOFF[PASSING.has(error.kind.class) ? 'passing' : 'lasting']
        const level = known?.code === error.code ? 'debug' : 'error'
        logger[level]({ dependency, code: error.code, err: error, failures }, 'failed; retrying')
        const askedForMs = Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS)
        await pause(Math.max(backoffMs(backoff, failures), askedForMs), signal)
        if (signal.aborted) throw closed()
        useful.failed(performance.now() - started)
      }
    }
  }

  /** Somebody else repeats a step that fails. */
  fails(step: symbol, dependency: Dependency, error: SluiceError): void {
    const known = this.#failed(step, { dependency, error })
    const level = known?.code === error.code ? 'debug' : 'error'
    this.#options.logger[level]({ dependency, code: error.code, err: error }, 'failed; retrying')
  }

  /** The step works, or is no longer ours. */
  works(step: symbol): void {
    this.#solved(step)
  }

  /** Remembers what is wrong; the result is what was before. */
  #failed(step: symbol, problem: Problem): SluiceError | undefined {
    const known = this.#problems.get(step)
    this.#solved(step)
    this.#problems.set(step, problem)
    if (FOR_PEOPLE.has(problem.error.code)) this.#giveUp?.()
    this.#options.failing.set({ dependency: problem.dependency, code: problem.error.code }, 1)
    return known?.error
  }

  /** False when nothing was wrong. */
  #solved(step: symbol): boolean {
    const known = this.#problems.get(step)
    if (known === undefined) return false
    this.#problems.delete(step)
    const { dependency, error } = known
    const isSame = (other: Problem): boolean => other.dependency === dependency && other.error.code === error.code
    if (![...this.#problems.values()].some(isSame)) this.#options.failing.remove({ dependency, code: error.code })
    return true
  }
}

/** The reason that a worker's signal is aborted with. */
export function closed(): SluiceError {
  return new SluiceError('closed', 'the worker is closing')
}
