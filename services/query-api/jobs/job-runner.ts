import { randomUUID } from 'node:crypto'
import { Counter } from 'prom-client'
import { BACKOFF, backoffMs, pause } from '../../../shared/backoff.ts'
import { toSluiceError, type SluiceError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'
import {
  JOB_LEASE_MS,
  type Job,
  type JobChange,
  type JobCounts,
  type Jobs,
} from '../../../shared/registry/jobs-port.ts'

/** Between two looks for a job that another process made, or left behind. */
const LOOK_EVERY_MS = 1_000
/** A lease is prolonged long before it ends. */
const RENEW_EVERY_MS = JOB_LEASE_MS / 6

/** What a kind of job is given to work with. */
export interface JobRun {
  /** As it was saved last. */
  readonly job: Job
  /** Aborted when the process closes, somebody cancels, or the job is another process's: stop, and say nothing. */
  readonly signal: AbortSignal
  /** Writes how far it is. Rejects with the signal's reason when the job is not ours any more. */
  save(change: Omit<JobChange, 'state'>): Promise<void>
}

/**
 * One kind of job. Every step may be done again, also beside a process that does not know yet that it lost the job. An
 * error that can be retried is waited for; another one ends the job.
 */
export interface JobHandler {
  /** Resolves when all is done, with what is told at the end. */
  run(run: JobRun): Promise<{ readonly counts?: JobCounts; readonly progress: string }>
  /** Somebody ended it: what was done stays. Resolves with what is told. */
  cancelled?(job: Job): Promise<string>
}

export type JobHandlers = Readonly<Record<string, JobHandler>>

interface RunnerOptions {
  readonly jobs: Pick<Jobs, 'take' | 'save'>
  readonly handlers: JobHandlers
  readonly logger: Logger
  readonly metrics: Metrics
}

type Stop = 'closed' | 'cancel' | 'lost'

/** Takes jobs from the table, one at a time, and sees them through; what it leaves behind another process goes on with. */
export class JobRunner {
  readonly #options: RunnerOptions
  readonly #ending = new AbortController()
  readonly #ended: Counter<'kind' | 'state'>
  #current: Job | undefined
  #wake: (() => void) | undefined
  #running: Promise<void> | undefined

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#ended = new Counter({
      name: 'sluice_jobs_ended_total',
      help: 'Jobs that this process ended, by how',
      labelNames: ['kind', 'state'],
      registers: [options.metrics],
    })
    gaugeOf(options.metrics, 'sluice_jobs_running', 'Jobs that this process is doing', () =>
      this.#current === undefined ? 0 : 1,
    )
  }

  start(): void {
    this.#running ??= this.#loop()
  }

  /** A job was made here. */
  wake(): void {
    this.#wake?.()
  }

  /** Leaves what is under way as it is; resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#ending.abort()
    this.wake()
    await this.#running
  }

  async #loop(): Promise<void> {
    const { jobs, handlers, logger } = this.#options
    const kinds = Object.keys(handlers)
    let failures = 0
    while (!this.#ending.signal.aborted) {
      try {
        // Another one each time: what a failure left in our hands is nobody's then.
        const owner = randomUUID()
        const job = await jobs.take(owner, kinds)
        failures = 0
        const handler = job === undefined ? undefined : handlers[job.kind]
        if (job === undefined || handler === undefined) await this.#idle()
        else await this.#see(job, handler, owner)
      } catch (error) {
        failures += 1
        // What uses the registry complains for itself.
        logger.debug({ err: error, failures }, 'jobs cannot be looked for')
        await pause(backoffMs(BACKOFF.lasting, failures), this.#ending.signal)
      }
    }
  }

  async #idle(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    if (this.#ending.signal.aborted) resolve()
    const timer = setTimeout(resolve, LOOK_EVERY_MS)
    await promise
    clearTimeout(timer)
    this.#wake = undefined
  }

  /** Rejects when the registry does not answer: then the lease ends, or the same job is taken again. */
  async #see(job: Job, handler: JobHandler, owner: string): Promise<void> {
    const { logger } = this.#options
    const at = { job: job.id, kind: job.kind }
    this.#current = job
    const holding = new Holding(this.#options.jobs, owner, job, this.#ending.signal)
    logger.info(at, 'a job begins, or goes on')
    try {
      const done = await this.#attempts(handler, holding)
      await this.#end(job, holding, { state: 'done', ...done })
    } catch (caught) {
      const error = toSluiceError(caught)
      if (holding.stop === 'cancel') {
        const progress = (await handler.cancelled?.(job)) ?? 'What was done stays.'
        await this.#end(job, holding, { state: 'cancelled', progress })
      } else if (holding.stop === undefined) {
        logger.error({ ...at, err: error }, 'a job failed')
        await this.#end(job, holding, { state: 'failed', progress: `${error.code}: ${error.message}` })
      } else logger.info({ ...at, why: holding.stop }, 'a job is left to whoever takes it')
    } finally {
      this.#current = undefined
      holding.close()
    }
  }

  async #attempts(handler: JobHandler, holding: Holding) {
    const { signal } = holding
    const save = (change: JobChange) => holding.save(change)
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted()
      try {
        return await handler.run({ job: holding.job, signal, save })
      } catch (caught) {
        const error = toSluiceError(caught)
        if (holding.signal.aborted || !error.canRetry) throw error
        await holding.save({ progress: waitsFor(error) })
        await pause(backoffMs(BACKOFF.passing, failures), holding.signal)
      }
    }
  }

  async #end(job: Job, holding: Holding, change: JobChange): Promise<void> {
    await this.#options.jobs.save(job.id, holding.owner, change)
    this.#ended.inc({ kind: job.kind, state: change.state ?? 'done' })
    this.#options.logger.info({ job: job.id, kind: job.kind, ...change }, 'a job ended')
    holding.close()
  }
}

/** A job in our hands: prolongs the lease and knows why to stop. */
class Holding {
  readonly #jobs: Pick<Jobs, 'save'>
  readonly owner: string
  #job: Job
  readonly #stopping = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #closed: AbortSignal
  /** When the lease was surely ours. */
  #renewed = performance.now()
  #stop: Stop | undefined

  constructor(jobs: Pick<Jobs, 'save'>, owner: string, job: Job, closed: AbortSignal) {
    this.#jobs = jobs
    this.owner = owner
    this.#job = job
    this.#closed = closed
    closed.addEventListener('abort', this.#close)
    if (closed.aborted) this.#close()
    if (job.cancelAsked) this.#abort('cancel')
    this.#timer = setInterval(() => void this.#renew(), RENEW_EVERY_MS)
  }

  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  get job(): Job {
    return this.#job
  }

  get stop(): Stop | undefined {
    return this.#stop
  }

  async save(change: JobChange): Promise<void> {
    this.signal.throwIfAborted()
    const began = performance.now()
    const held = await this.#jobs.save(this.#job.id, this.owner, change)
    if (held !== 'lost') this.#job = { ...this.#job, ...change }
    if (held !== 'held') this.#abort(held)
    else this.#renewed = began
    this.signal.throwIfAborted()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#closed.removeEventListener('abort', this.#close)
  }

  readonly #close = (): void => this.#abort('closed')

  /** Never rejects: who does not reach the registry until the lease ends has lost the job. */
  async #renew(): Promise<void> {
    try {
      await this.save({})
    } catch {
      if (performance.now() - this.#renewed > JOB_LEASE_MS) this.#abort('lost')
    }
  }

  #abort(stop: Stop): void {
    this.#stop ??= stop
    this.#stopping.abort()
  }
}

function waitsFor({ code, message }: SluiceError): string {
  return `Waiting: ${code}: ${message}`
}
