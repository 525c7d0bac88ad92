import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { SluiceError } from '../../errors.ts'
import { answerTo, changesNothing } from './answers.ts'
import type { PointDatabase } from './database.ts'
import { toFailure } from './failure.ts'
import { memoryOf } from './memory.ts'
import type { Answer, FromThread, Request, ThreadOptions } from './messages.ts'
import { openPointDatabase } from './open-database.ts'

/** Sealing and tidying work this long between two looks at the requests. */
const STEP_MS = 2
/** Requests that share one transaction. */
const MAX_GROUP = 64
/** How long no write must have come before space is given back to the disk. */
const QUIET_MS = 1_000
/** How often files are looked at for retention. */
const EXPIRE_MS = 3_600_000
/** After a failure to open the store again, or of work that nobody waits for, most likely for want of room. */
const REST_MS = 1_000
/** Least time between two reports of figures. */
const REPORT_MS = 250

/** Serves requests in the order they came; sealing takes the time in between. */
class PointThread {
  readonly #port: MessagePort
  readonly #options: ThreadOptions
  #database: PointDatabase
  /** What was written since the last good sync is gone, and no one who asked for a sync knows. */
  #isRewound = false
  readonly #queue: Request[] = []
  #scheduled = false
  #timer: NodeJS.Timeout | undefined
  #copying = false
  #tidied = false
  #restUntil = 0
  #writtenAt = 0
  #expiredAt = Date.now()
  #reportedAt = 0
  #reported = false

  constructor(port: MessagePort, options: ThreadOptions) {
    this.#port = port
    this.#options = options
    this.#database = this.#open()
    port.on('message', (request: Request) => {
      this.#queue.push(request)
      this.#schedule()
    })
    this.#say({ kind: 'opened', opened: { rawPoints: this.#database.rawPoints } })
    this.#schedule()
  }

  #open(): PointDatabase {
    return openPointDatabase(this.#options, (detail) => this.#say({ kind: 'event', event: { kind: 'damage', detail } }))
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    clearTimeout(this.#timer)
    setImmediate(() => {
      this.#scheduled = false
      this.#turn()
    })
  }

  #turn(): void {
    if (this.#database.isDoubtful && Date.now() >= this.#restUntil) this.#reopen()
    if (!this.#serve()) return
    const more = this.#work()
    this.#report(more)
    const [next] = this.#queue
    if (more || (next !== undefined && !this.#mustWait(next))) this.#schedule()
    else this.#sleep()
  }

  /** After a failed sync: goes back to the last good one. When that fails, too, it is tried again. */
  #reopen(): void {
    try {
      this.#database.rewind()
      this.#database = this.#open()
      this.#isRewound = true
    } catch (error) {
      this.#restUntil = Date.now() + REST_MS
      this.#say({ kind: 'event', event: { kind: 'warning', failure: toFailure(error) } })
    }
  }

  #sync(): void {
    if (this.#isRewound) {
      this.#isRewound = false
      throw new SluiceError('store_rewound', 'a sync failed; the points written since the last good one are gone')
    }
    this.#database.sync()
  }

  /** Serves what waits, up to a group of writes: sealing must keep pace with them. False when it was closed. */
  #serve(): boolean {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#mustWait(next)) return true
      this.#reported = false
      if (next.question === 'write') {
        this.#serveWrites()
        return true
      }
      if (next.question === 'snapshot') this.#serveSnapshot(next.id, next.ask.folder)
      else {
        const request = next
        this.#queue.shift()
        this.#answer([request.id], () => [this.#perform(request)])
        if (request.question === 'close') {
          this.#port.close()
          return false
        }
      }
    }
    return true
  }

  /** While the files are copied they must not change. */
  #mustWait({ question }: Request): boolean {
    if (!this.#copying) return false
    if (question === 'write') return !this.#database.sealer.hasRoom
    return question !== 'sync' && !changesNothing(question)
  }

  #serveWrites(): void {
    const end = this.#queue.findIndex(({ question }) => question !== 'write')
    const group = this.#queue.splice(0, Math.min(MAX_GROUP, end < 0 ? this.#queue.length : end))
    const writes = group.filter((request) => request.question === 'write')
    this.#writtenAt = Date.now()
    this.#tidied = false
    this.#answer(
      group.map(({ id }) => id),
      () => this.#database.write(writes),
    )
  }

  #serveSnapshot(id: number, folder: string): void {
    this.#queue.shift()
    this.#copying = true
    const done = (work: () => void): void => {
      this.#copying = false
      this.#answer([id], () => [void work()])
      this.#schedule()
    }
    this.#database.snapshot(folder).then(
      () => done(() => {}),
      (error: unknown) =>
        done(() => {
          throw error
        }),
    )
  }

  #perform(request: Exclude<Request, { question: 'write' | 'snapshot' }>): Answer {
    const database = this.#database
    switch (request.question) {
      case 'sync':
        return void this.#sync()
      case 'delete':
        return void database.delete(request.ask)
      case 'setRetention':
        return void database.setRetention(request.ask.tenant, request.ask.keepMs)
      case 'close':
        clearTimeout(this.#timer)
        return void database.close()
      default:
        return answerTo(database, request)
    }
  }

  #answer(ids: readonly number[], work: () => readonly Answer[]): void {
    try {
      const answers = work()
      ids.forEach((id, i) => this.#say({ kind: 'answer', id, answer: answers[i] }))
    } catch (error) {
      const failure = toFailure(error)
      for (const id of ids) this.#say({ kind: 'failure', id, failure })
    }
  }

  /** Work that nobody waits for; true while there is more of it. */
  #work(): boolean {
    try {
      if (this.#copying || this.#database.isDoubtful || Date.now() < this.#restUntil) return false
      if (Date.now() - this.#expiredAt >= EXPIRE_MS) {
        this.#expiredAt = Date.now()
        this.#database.expire()
      }
      if (this.#database.sealer.isDue) {
        this.#reported = false
        this.#tidied = false
        return this.#database.sealer.step(STEP_MS)
      }
      if (this.#tidied || Date.now() - this.#writtenAt < QUIET_MS) return false
      this.#reported = false
      this.#tidied = !this.#database.tidy()
      return !this.#tidied
    } catch (error) {
      this.#restUntil = Date.now() + REST_MS
      this.#say({ kind: 'event', event: { kind: 'warning', failure: toFailure(error) } })
      return false
    }
  }

  #report(more: boolean): void {
    const { sealer } = this.#database
    if (this.#reported || (more && Date.now() - this.#reportedAt < REPORT_MS)) return
    this.#reported = true
    this.#reportedAt = Date.now()
    const { sealed, seconds } = sealer.takeFigures()
    const { rawPoints, bytesOnDisk } = this.#database
    const state = { rawPoints, bytesOnDisk, sealed, sealSeconds: seconds }
    this.#say({ kind: 'event', event: { kind: 'state', state } })
  }

  /** Until a request comes or the next work is due. */
  #sleep(): void {
    if (this.#copying) return
    const due = [this.#expiredAt + EXPIRE_MS, this.#database.sealer.dueAt ?? Infinity]
    if (!this.#tidied) due.push(this.#writtenAt + QUIET_MS)
    if (this.#database.isDoubtful) due.push(this.#restUntil)
    const delay = Math.max(Math.min(...due), this.#restUntil) - Date.now()
    this.#timer = setTimeout(() => this.#schedule(), Math.max(1, Math.min(delay, EXPIRE_MS)))
  }

  #say(message: FromThread): void {
    this.#port.postMessage(message, message.kind === 'answer' ? memoryOf(message.answer) : [])
  }
}

function start(port: MessagePort, options: ThreadOptions): void {
  try {
    new PointThread(port, options)
  } catch (error) {
    const { code, message } = toFailure(error)
    port.postMessage({
      kind: 'unopened',
      failure: { code, message: `${options.folder}: ${message}` },
    } satisfies FromThread)
  }
}

// The main thread starts this file with these options and nothing else does.
if (parentPort !== null) start(parentPort, workerData as ThreadOptions)
