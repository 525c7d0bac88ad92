import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { PointDatabase } from './database.ts'
import { toStoreError } from './failure.ts'
import type { Answers, Posted, QueryAnswer, Reply, ThreadOptions } from './messages.ts'

/** Sealing and tidying work this long between two looks at the requests. */
const STEP_MS = 2

/** Requests that share one transaction. */
const MAX_GROUP = 64

/** How long no write must have come before space is given back to the disk. */
const QUIET_MS = 1_000

/** How often files are looked at for retention. */
const EXPIRE_MS = 3_600_000

/** Least time between two reports of figures. */
const REPORT_MS = 250

/** Serves requests in the order they came; sealing takes the time in between. */
class PointThread {
  readonly #port: MessagePort
  readonly #database: PointDatabase
  readonly #queue: Posted[] = []
  #scheduled = false
  #timer: NodeJS.Timeout | undefined
  #copying = false
  #tidied = false
  #writtenAt = 0
  #expiredAt = Date.now()
  #reportedAt = 0
  #reported = false

  constructor(port: MessagePort, database: PointDatabase) {
    this.#port = port
    this.#database = database
    port.on('message', (request: Posted) => {
      this.#queue.push(request)
      this.#schedule()
    })
    this.#say({ kind: 'open', rawPoints: database.rawPoints })
    this.#schedule()
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
    if (!this.#serve()) return
    const more = this.#work()
    this.#report(more)
    const [next] = this.#queue
    if (more || (next !== undefined && !this.#mustWait(next))) this.#schedule()
    else this.#sleep()
  }

  /** Serves what waits, up to a group of writes: sealing must keep pace with them. False when it was closed. */
  #serve(): boolean {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#mustWait(next)) return true
      this.#reported = false
      if (next.kind === 'write') {
        this.#serveWrites()
        return true
      }
      if (next.kind === 'snapshot') this.#serveSnapshot(next.id, next.folder)
      else {
        const request = next
        this.#queue.shift()
        this.#answer([request.id], () => [this.#perform(request)])
        if (request.kind === 'close') {
          this.#port.close()
          return false
        }
      }
    }
    return true
  }

  /** While the files are copied they must not change. */
  #mustWait({ kind }: Posted): boolean {
    if (!this.#copying) return false
    if (kind === 'write') return !this.#database.sealer.hasRoom
    return kind !== 'query' && kind !== 'series' && kind !== 'sync'
  }

  #serveWrites(): void {
    const end = this.#queue.findIndex(({ kind }) => kind !== 'write')
    const group = this.#queue.splice(0, Math.min(MAX_GROUP, end < 0 ? this.#queue.length : end))
    const writes = group.filter((request) => request.kind === 'write')
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

  #perform(request: Exclude<Posted, { kind: 'write' | 'snapshot' }>): Answers[keyof Answers] {
    const database = this.#database
    switch (request.kind) {
      case 'sync':
        return void database.sync()
      case 'query':
        return database.query(request.query)
      case 'series':
        return database.series(request.tenant, request.device)
      case 'devices':
        return database.devices(request.after, request.limit)
      case 'delete':
        return void database.delete(request.range)
      case 'retention':
        return void database.setRetention(request.tenant, request.keepMs)
      case 'close':
        clearTimeout(this.#timer)
        return void database.close()
    }
  }

  #answer(ids: readonly number[], work: () => readonly Answers[keyof Answers][]): void {
    try {
      const answers = work()
      ids.forEach((id, i) => this.#say({ kind: 'done', id, answer: answers[i] }))
    } catch (error) {
      const { code, message } = toStoreError(error)
      for (const id of ids) this.#say({ kind: 'failed', id, code, message })
    }
  }

  /** Work that nobody waits for; true while there is more of it. */
  #work(): boolean {
    try {
      if (this.#copying) return false
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
      const { code, message } = toStoreError(error)
      this.#say({ kind: 'warning', code, message })
      return false
    }
  }

  #report(more: boolean): void {
    const { sealer } = this.#database
    if (this.#reported || (more && Date.now() - this.#reportedAt < REPORT_MS)) return
    this.#reported = true
    this.#reportedAt = Date.now()
    const { chunks, seconds } = sealer.takeFigures()
    const { rawPoints, bytesOnDisk } = this.#database
    this.#say({ kind: 'state', state: { rawPoints, bytesOnDisk, chunksSealed: chunks, sealSeconds: seconds } })
  }

  /** Until a request comes or the next work is due. */
  #sleep(): void {
    if (this.#copying) return
    const due = [this.#expiredAt + EXPIRE_MS, this.#database.sealer.dueAt ?? Infinity]
    if (!this.#tidied) due.push(this.#writtenAt + QUIET_MS)
    const delay = Math.min(...due) - Date.now()
    this.#timer = setTimeout(() => this.#schedule(), Math.max(1, Math.min(delay, EXPIRE_MS)))
  }

  #say(reply: Reply): void {
    const transfer = reply.kind === 'done' && isQueryAnswer(reply.answer) ? buffersOf(reply.answer) : []
    this.#port.postMessage(reply, transfer)
  }
}

function isQueryAnswer(answer: Answers[keyof Answers]): answer is QueryAnswer {
  return answer !== undefined && 'next' in answer
}

function buffersOf({ series }: QueryAnswer): ArrayBuffer[] {
  return series.flatMap(({ ms, ns, values }) => {
    const columns = [ms.buffer]
    if (ns !== undefined) columns.push(ns.buffer)
    if (values instanceof Float64Array) columns.push(values.buffer)
    return columns
  })
}

function start(port: MessagePort, options: ThreadOptions): void {
  try {
    new PointThread(port, new PointDatabase(options))
  } catch (error) {
    const { code, message } = toStoreError(error)
    const where = `${options.folder}: ${message}`
    port.postMessage({ kind: 'failed', id: undefined, code, message: where } satisfies Reply)
  }
}

// The main thread starts this file with these options and nothing else does.
if (parentPort !== null) start(parentPort, workerData as ThreadOptions)
