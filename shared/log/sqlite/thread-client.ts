import { Worker } from 'node:worker_threads'
import { SluiceError } from '../../errors.ts'
import type { LogTopic } from '../port.ts'
import type { Calls, FromThread, Question, ThreadOptions, ToThread, TopicSummary, TrimmedEvent } from './messages.ts'

interface Pending {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: SluiceError) => void
}

export interface ThreadListener {
  readonly onTrimmed: (event: TrimmedEvent) => void
  /** Something in the thread failed that it tries again by itself. */
  readonly onTrouble: (error: SluiceError) => void
  /** The thread is gone; everything pending was rejected with `error` before. */
  readonly onLost: (error: SluiceError) => void
}

/** Questions to the thread that owns the database, and its answers. */
export class ThreadClient {
  readonly #worker: Worker
  readonly #listener: ThreadListener
  readonly #pending = new Map<number, Pending>()
  readonly #exited: Promise<void>
  readonly #opened = Promise.withResolvers<Readonly<Record<LogTopic, TopicSummary>>>()
  #nextId = 0
  #isOpen = false
  #lost: SluiceError | undefined
  #isClosing = false

  /** Starts the thread and waits until it has opened the folder; its errors are those of opening. */
  static async start(
    options: ThreadOptions,
    listener: ThreadListener,
  ): Promise<{ client: ThreadClient; topics: Readonly<Record<LogTopic, TopicSummary>> }> {
    const client = new ThreadClient(options, listener)
    try {
      return { client, topics: await client.#opened.promise }
    } catch (error) {
      client.#isClosing = true
      await client.#exited
      throw error
    }
  }

  private constructor(options: ThreadOptions, listener: ThreadListener) {
    this.#listener = listener
    this.#worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: options })
    this.#worker.on('message', (message: FromThread) => this.#receive(message))
    this.#worker.on('error', (error) => this.#lose(error))
    this.#worker.on('messageerror', (error) => this.#lose(error))
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        if (!this.#isClosing) this.#lose(new Error(`exit code ${code}`))
        resolve()
      })
    })
  }

  /** Errors: those of the answer; `log_unavailable` when the thread is gone. `transfer` is not usable afterwards. */
  ask<Q extends Question>(
    question: Q,
    ask: Calls[Q]['ask'],
    transfer: ArrayBuffer[] = [],
  ): Promise<Calls[Q]['answer']> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost)
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      // The thread answers every question with the answer that Calls pairs with it.
      this.#pending.set(id, { resolve: resolve as (answer: unknown) => void, reject })
      this.#worker.postMessage({ id, question, ask } satisfies ToThread, transfer)
    })
  }

  /** Answers what was asked before, closes the files, ends the thread. */
  async close(): Promise<void> {
    this.#isClosing = true
    if (this.#lost === undefined) await this.ask('close', undefined)
    await this.#exited
  }

  #receive(message: FromThread): void {
    switch (message.kind) {
      case 'answer':
        this.#take(message.id)?.resolve(message.answer)
        return
      case 'failure':
        this.#take(message.id)?.reject(new SluiceError(message.failure.code, message.failure.message))
        return
      case 'trimmed':
        this.#listener.onTrimmed(message)
        return
      case 'trouble':
        this.#listener.onTrouble(new SluiceError(message.failure.code, message.failure.message))
        return
      case 'opened':
        this.#isOpen = true
        this.#opened.resolve(message.topics)
        return
      case 'unopened':
        this.#opened.reject(new SluiceError(message.failure.code, message.failure.message))
        return
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  #lose(cause: unknown): void {
    if (this.#lost !== undefined) return
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#lost = new SluiceError('log_unavailable', `the thread of the log ended: ${reason}`, { cause })
    for (const { reject } of this.#pending.values()) reject(this.#lost)
    this.#pending.clear()
    if (this.#isOpen) this.#listener.onLost(this.#lost)
    else this.#opened.reject(this.#lost)
  }
}
