import { SluiceError, toSluiceError } from '../errors.ts'
import { ThreadClient, toError } from '../process/thread-client.ts'
import { HANG_MS, HUNG, type CodecCalls, type CodecJob, type CodecThreadData } from './codec-calls.ts'

const LOOK_MS = 500
/** What the engine's own stack takes of the thread's. */
const STACK_MB = 16

type Client = ThreadClient<CodecCalls, undefined>

/**
 * Runs codecs on a thread of its own, which is started when there is something to run, and again after it had to be ended.
 * A codec that does not come to an end is paused until {@link resume}.
 */
export class CodecRunner {
  readonly #hung = new Set<string>()
  #progress = new Int32Array(new SharedArrayBuffer(4))
  #client: Promise<Client> | undefined
  /** One after the other: the progress is of one call. */
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /**
   * Answers in the order of the jobs, see `CodecCalls`; `sources` has the source of each. Error: `closed`.
   */
  run(jobs: readonly CodecJob[], sources: ReadonlyMap<string, string>): Promise<readonly string[]> {
    return this.#inTurn(() => this.#run(jobs, sources))
  }

  /** What is wrong with a codec, and in which line; undefined: nothing. */
  check(source: string): Promise<string | undefined> {
    return this.#inTurn(async () => {
      const { answer } = await this.#ask('check', source)
      return answer === 'hung' ? 'it does not come to an end' : answer
    })
  }

  /** Paused codecs are tried again. */
  resume(): void {
    this.#hung.clear()
    if (this.#client === undefined) return
    void this.#inTurn(() => this.#ask('resume', undefined)).catch((error: unknown) => {
      if (toSluiceError(error).code !== 'closed') throw error
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const client = this.#client
    this.#client = undefined
    if (client !== undefined) await (await client).kill()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work)
    this.#last = Promise.allSettled([mine])
    return mine
  }

  async #run(jobs: readonly CodecJob[], sources: ReadonlyMap<string, string>): Promise<readonly string[]> {
    const answers: string[] = []
    while (answers.length < jobs.length) {
      const next = jobs[answers.length]
      if (next !== undefined && this.#hung.has(next.id)) {
        answers.push(HUNG)
        continue
      }
      const end = jobs.findIndex(({ id }, at) => at > answers.length && this.#hung.has(id))
      const some = jobs.slice(answers.length, end < 0 ? undefined : end)
      const ids = new Set(some.map(({ id }) => id))
      const ofThem = [...ids].map((id) => [id, sources.get(id) ?? ''] as const)
      const { answer, begun } = await this.#ask('run', { jobs: some, sources: ofThem })
      if (answer !== 'hung') answers.push(...answer)
      // The last of those that were begun is the one that hangs; those before it are run again.
      else this.#hung.add(some[Math.max(begun, 1) - 1]?.id ?? '')
    }
    return answers
  }

  /** `hung`: the thread was ended, in the midst of the job of the number `begun`. */
  async #ask<Q extends 'run' | 'check' | 'resume'>(
    question: Q,
    ask: CodecCalls[Q]['ask'],
  ): Promise<{ answer: CodecCalls[Q]['answer'] | 'hung'; begun: number }> {
    if (this.#isClosed) throw closed()
    this.#client ??= this.#start()
    const client = await this.#client
    const before = Atomics.load(this.#progress, 0)
    const watch = this.#watch()
    try {
      const asked = client.ask(question, ask).then((answer) => ({ answer }))
      const first = await Promise.race([asked, watch.hung])
      const begun = Atomics.load(this.#progress, 0) - before
      if (first !== undefined) return { ...first, begun }
      void Promise.allSettled([asked])
      await this.#end(client)
      return { answer: 'hung', begun }
    } catch (error) {
      // The engine took the thread with it: as one that hangs.
      const begun = Atomics.load(this.#progress, 0) - before
      if (this.#isClosed) throw closed()
      if (toSluiceError(error).code !== 'decoder_failed') throw error
      await this.#end(client)
      return { answer: 'hung', begun }
    } finally {
      clearInterval(watch.timer)
    }
  }

  async #end(client: Client): Promise<void> {
    this.#client = undefined
    await client.kill()
  }

  /** `hung` resolves when nothing was begun for too long. */
  #watch(): { readonly hung: Promise<undefined>; readonly timer: NodeJS.Timeout } {
    const { promise: hung, resolve } = Promise.withResolvers<undefined>()
    let seen = Atomics.load(this.#progress, 0)
    let since = performance.now()
    const look = (): void => {
      const now = Atomics.load(this.#progress, 0)
      if (now === seen) {
        if (performance.now() - since >= HANG_MS) resolve(undefined)
        return
      }
      seen = now
      since = performance.now()
    }
    return { hung, timer: setInterval(look, LOOK_MS).unref() }
  }

  async #start(): Promise<Client> {
    const progress = new SharedArrayBuffer(4)
    this.#progress = new Int32Array(progress)
    const { client } = await ThreadClient.start<CodecCalls, undefined>({
      file: new URL('./codec-thread.ts', import.meta.url),
      workerData: { progress } satisfies CodecThreadData,
      name: 'codecs',
      lostCode: 'decoder_failed',
      stackMb: STACK_MB,
      toError,
    })
    return client
  }
}

function closed(): SluiceError {
  return new SluiceError('closed', 'codecs are not run any more')
}
