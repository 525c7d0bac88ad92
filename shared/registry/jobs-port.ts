/** Work that takes longer than a request: what is to be done, how far it is, and which process is doing it. */

/** `waiting`: nobody has begun it. `running`: begun; with a lease that ended whoever takes it next goes on. */
export type JobState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'

export type JobCounts = Readonly<Record<string, number>>

export interface Job {
  readonly id: number
  readonly kind: string
  /** What is asked for: JSON of the kind's own form. */
  readonly spec: unknown
  /** From where it goes on, as its kind wrote it last; undefined before that. */
  readonly position: unknown
  readonly state: JobState
  readonly counts: JobCounts
  /** What it does, waits for, or ended with, for a person. */
  readonly progress: string
  readonly who: string
  readonly createdMs: number
  readonly endedMs: number | undefined
  /** The process that has it, or had it last; empty before the first. */
  readonly owner: string
  readonly cancelAsked: boolean
}

/** What its owner writes of a job; what is left out stays. */
export interface JobChange {
  readonly position?: unknown
  readonly counts?: JobCounts
  readonly progress?: string
  /** Ends it. */
  readonly state?: 'done' | 'failed' | 'cancelled'
}

/** `lost`: another process has the job now, nothing was written. `cancel`: written, and somebody asked to end it. */
export type Held = 'held' | 'cancel' | 'lost'

/** How long a job stays with a process that is not heard of. */
export const JOB_LEASE_MS = 30_000

/** Jobs that wait; more are refused. Those that have ended are kept as many, the newest. */
export const MAX_JOBS = 1_000

/** Errors as of `Registry`; `rate_limited` when {@link MAX_JOBS} wait already. */
export interface Jobs {
  create(job: { readonly kind: string; readonly spec: unknown; readonly who: string }): Promise<Job>
  get(id: number): Promise<Job | undefined>
  /** The newest first; `before` is the id where the page before ended. `limit` 1 to 1,000. */
  list(query: { readonly before?: number; readonly limit: number }): Promise<readonly Job[]>
  /**
   * Gives `owner` the oldest job of these kinds that is nobody's, running, with a lease that begins now; undefined for
   * none. One job is one owner's. In a registry of one process, which takes one at a time, whoever had one before is gone.
   */
  take(owner: string, kinds: readonly string[]): Promise<Job | undefined>
  /** Writes a change and prolongs the lease, when `owner` has the job still. */
  save(id: number, owner: string, change: JobChange): Promise<Held>
  /** Ends a job that waits, and asks the owner of one that runs to end it; others stay as they are. */
  cancel(id: number): Promise<Job | undefined>
}
