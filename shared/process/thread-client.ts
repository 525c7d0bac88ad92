import { Worker } from 'node:worker_threads'
import { SluiceError, type ErrorCode } from '../errors.ts'

/** What a thread can be asked, by question. A thread answers `close`, and then closes its port. */
export type CallsOf<C> = { readonly [Q in keyof C]: { readonly ask: unknown; readonly answer: unknown } } & {
  readonly close: { readonly ask: undefined; readonly answer: undefined }
}

/** What a thread gets: questions in the order of the calls. */
export type Asked<C extends CallsOf<C>> = {
  [Q in keyof C]: { readonly id: number; readonly question: Q; readonly ask: C[Q]['ask'] }
}[keyof C]

export interface Failure {
  readonly code: ErrorCode
  readonly message: string
}

/** What a thread says: first whether it could open what it owns, then answers by id, and events by itself. */
export type Said<Opened, Event, F = Failure> =
  | { readonly kind: 'opened'; readonly opened: Opened }
  | { readonly kind: 'unopened'; readonly failure: F }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: F }
  | { readonly kind: 'event'; readonly event: Event }

export interface ThreadClientOptions<Event, F = Failure> {
  /** The file that the thread runs. */
  readonly file: URL
  readonly workerData: unknown
  /** Megabytes of the stack of the thread, where it needs more than others. */
  readonly stackMb?: number
  /** What the thread owns, for the text of errors. */
  readonly name: string
  /** Of the error that everything is rejected with once the thread is gone. */
  readonly lostCode: ErrorCode
  readonly toError: (failure: F) => Error
  readonly onEvent?: (event: Event) => void
  /** The thread, which had opened, is gone; everything pending was rejected with `error` before. */
  readonly onLost?: (error: SluiceError) => void
}

interface Pending {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/** A failure that names one of Sluice's own errors. */
export function toError({ code, message }: Failure): SluiceError {
  return new SluiceError(code, message)
}

/**
 * One end of a thread that owns a database: asks in the order of the calls, and gives each caller its answer. Nothing
 * waits for a thread that is gone.
 */
export class ThreadClient<C extends CallsOf<C>, Opened, Event = never, F = Failure> {
  readonly #options: ThreadClientOptions<Event, F>
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  readonly #opened = Promise.withResolvers<Opened>()
  readonly #exited = Promise.withResolvers<void>()
  #nextId = 0
  #isOpen = false
  /** Why nothing can be asked any more. */
  #end: SluiceError | undefined
  #closing: Promise<void> | undefined

  /** Starts the thread and waits until it has opened what it owns; rejects with the error of that. */
  static async start<C extends CallsOf<C>, Opened, Event = never, F = Failure>(
    options: ThreadClientOptions<Event, F>,
  ): Promise<{ client: ThreadClient<C, Opened, Event, F>; opened: Opened }> {
    const client = new ThreadClient<C, Opened, Event, F>(options)
    try {
      return { client, opened: await client.#opened.promise }
    } catch (error) {
      await client.#worker.terminate()
      throw error
    }
  }

  private constructor(options: ThreadClientOptions<Event, F>) {
    this.#options = options
    const resourceLimits = options.stackMb === undefined ? {} : { stackSizeMb: options.stackMb }
    this.#worker = new Worker(options.file, { workerData: options.workerData, resourceLimits })
    this.#worker.on('message', (message: Said<Opened, Event, F>) => this.#receive(message))
    this.#worker.on('error', (error) => this.#lose(error))
    this.#worker.on('messageerror', (error) => this.#lose(error))
    this.#worker.once('exit', (code) => {
      this.#lose(new Error(`exit code ${code}`))
      this.#exited.resolve()
    })
  }

  /**
   * Errors: those of the answer, `closed`, and that of a thread that is gone. The memory of `transfer` goes to the
   * thread, and is not usable afterwards.
   */
  ask<Q extends keyof C>(question: Q, ask: C[Q]['ask'], transfer?: ArrayBuffer[]): Promise<C[Q]['answer']> {
    if (this.#closing !== undefined) return Promise.reject(this.#end ?? this.#closed())
    return this.#post(question, ask, transfer)
  }

  /** Answers what was asked before, closes what the thread owns, and ends the thread. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Ends the thread whatever it does: everything pending is rejected with the error of a thread that is gone. */
  async kill(): Promise<void> {
    await this.#worker.terminate()
  }

  async #close(): Promise<void> {
    try {
      // Posted in the turn of the call: `#closing` is not set yet, and nothing comes between.
      if (this.#end === undefined) await this.#post('close', undefined)
    } finally {
      await this.#exited.promise
    }
  }

  #post<Q extends keyof C>(question: Q, ask: C[Q]['ask'], transfer?: ArrayBuffer[]): Promise<C[Q]['answer']> {
    if (this.#end !== undefined) return Promise.reject(this.#end)
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#worker.postMessage({ id, question, ask }, transfer)
      // The thread answers every question with the answer that its calls pair with it, and never in this turn.
      this.#pending.set(id, { resolve, reject })
    })
  }

  #receive(message: Said<Opened, Event, F>): void {
    switch (message.kind) {
      case 'answer':
        this.#take(message.id)?.resolve(message.answer)
        return
      case 'failure':
        this.#take(message.id)?.reject(this.#options.toError(message.failure))
        return
      case 'event':
        this.#options.onEvent?.(message.event)
        return
      case 'opened':
        this.#isOpen = true
        this.#opened.resolve(message.opened)
        return
      case 'unopened':
        this.#opened.reject(this.#options.toError(message.failure))
        return
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  /** The first cause is the one: an error is followed by the thread's exit. */
  #lose(cause: unknown): void {
    if (this.#end !== undefined) return
    const { name, lostCode, onLost } = this.#options
    const reason = cause instanceof Error ? cause.message : String(cause)
    const lost = new SluiceError(lostCode, `the thread of the ${name} ended: ${reason}`, { cause })
    const isEnded = this.#closing !== undefined && this.#pending.size === 0
    this.#end = isEnded ? this.#closed() : lost
    for (const { reject } of this.#pending.values()) reject(this.#end)
    this.#pending.clear()
    if (!this.#isOpen) this.#opened.reject(lost)
    else if (!isEnded) onLost?.(lost)
  }

  #closed(): SluiceError {
    return new SluiceError('closed', `the ${this.#options.name} is closed`)
  }
}
