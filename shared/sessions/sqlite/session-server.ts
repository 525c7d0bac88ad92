import { SluiceError, toSluiceError } from '../../errors.ts'
import { fileFault } from '../../storage/storage-fault.ts'
import type { Answers, SessionEvent, ToThread } from './messages.ts'
import type { SessionDatabase } from './session-database.ts'
import { sessionError } from './session-error.ts'

/** What nobody waits for is durable after this. */
const SOON_MS = 1_000
/** Between two looks at what is due. */
const SWEEP_MS = 1_000

export interface Replies {
  answer(id: number, answer: unknown): void
  fail(id: number, error: SluiceError): void
  tell(event: SessionEvent): void
}

/** An answer that waits for the commit. */
interface Held {
  readonly id: number
  readonly answer: unknown
}

/**
 * Answers questions in their order. What is asked in one turn, or while a sync is under way, is one transaction and one
 * sync, and no answer that promises something leaves before it.
 *
 * A write or sync that fails for another reason than room is thrown, and ends the thread: what it was to make durable may
 * never be, whatever later syncs say.
 */
export class SessionServer {
  readonly #database: SessionDatabase
  readonly #file: string
  readonly #replies: Replies
  #held: Held[] = []
  #turn: NodeJS.Immediate | undefined
  #soon: NodeJS.Timeout | undefined
  #sweep: NodeJS.Timeout | undefined

  constructor(database: SessionDatabase, file: string, replies: Replies) {
    this.#database = database
    this.#file = file
    this.#replies = replies
  }

  take({ id, question, ask }: ToThread): void {
    if (question === 'close') return this.#close(id)
    if (question === 'snapshot') return this.#copy(id, ask)
    if (question === 'begin') {
      this.#sweep ??= setInterval(() => this.#lookAtDue(), SWEEP_MS)
      this.#lookAtDue()
      return this.#replies.answer(id, undefined)
    }
    const { transaction } = this.#database
    try {
      const answer = this.#run(question, ask)
      if (transaction.isAwaited) this.#held.push({ id, answer })
      else this.#replies.answer(id, answer)
    } catch (error) {
      this.#replies.fail(id, this.#failed(error))
    }
    this.#plan()
  }

  #run<Q extends keyof Answers>(question: Q, ask: unknown): unknown {
    return (this.#database.answers[question] as (ask: unknown) => unknown)(ask) // the two are paired by ThreadClient.ask
  }

  /** The commit is at the end of this turn when somebody waits for it, and soon when nobody does. */
  #plan(): void {
    const { isAwaited, isOpen } = this.#database.transaction
    // What is not kept waits for no commit.
    if (!isOpen) this.#tellHanded()
    if (isAwaited) this.#turn ??= setImmediate(() => this.#commit())
    else if (isOpen) this.#soon ??= setTimeout(() => this.#commit(), SOON_MS)
  }

  #commit(): void {
    clearImmediate(this.#turn)
    clearTimeout(this.#soon)
    this.#turn = this.#soon = undefined
    try {
      this.#database.transaction.commit()
    } catch (error) {
      return void this.#failed(error)
    }
    for (const { id, answer } of this.#held.splice(0)) this.#replies.answer(id, answer)
    this.#tellHanded()
    this.#database.transaction.tidy()
  }

  /** Nothing of the transaction remains, and nobody is told that it does; unless it is a refusal, which changes nothing. */
  #failed(error: unknown): SluiceError {
    if (error instanceof SluiceError) return error
    const known = sessionError(error, this.#file)
    if (known.code === 'storage_failed') throw known
    for (const { id } of this.#held.splice(0)) this.#replies.fail(id, known)
    const { code, message } = known
    this.#replies.tell({ kind: 'trouble', failure: { code, message } })
    this.#database.transaction.rollback()
    this.#database.reload()
    return known
  }

  #tellHanded(): void {
    const handed = this.#database.takeHanded()
    if (handed.length > 0) this.#replies.tell({ kind: 'shared', handed })
  }

  #lookAtDue(): void {
    try {
      const due = this.#database.sweep()
      if (due.length > 0) this.#replies.tell({ kind: 'wills', due })
    } catch (error) {
      this.#failed(error)
    }
    this.#plan()
  }

  /** Between two transactions. That no copy could be made says nothing about the file. */
  #copy(id: number, file: string): void {
    this.#commit()
    try {
      this.#database.copyTo(file)
      this.#replies.answer(id, undefined)
    } catch (error) {
      this.#replies.fail(id, new SluiceError(fileFault(error), `${file}: ${toSluiceError(error).message}`))
    }
  }

  #close(id: number): void {
    clearInterval(this.#sweep)
    this.#commit()
    try {
      this.#database.close()
      this.#replies.answer(id, undefined)
    } catch (error) {
      this.#replies.fail(id, sessionError(error, this.#file))
    }
  }
}
