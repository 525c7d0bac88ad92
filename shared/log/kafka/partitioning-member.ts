import { randomUUID } from 'node:crypto'
import { pause } from '../../backoff.ts'
import { SluiceError, toSluiceError } from '../../errors.ts'
import { inTime, orLate } from '../../in-time.ts'
import type { Logger } from '../../process/logger.ts'
import type { Facts } from '../../registry/facts-port.ts'
import * as partitioning from './partitioning.ts'
import type { MemberName, Partitioning, PartitioningState } from './partitioning.ts'
import { stepDue, type PartitionEnds, type Step } from './partitioning-steps.ts'

/** How often the registry is asked; while a change is under way nobody waits for long. */
const LOOK_EVERY_MS: Readonly<Record<PartitioningState, number>> = {
  settled: 1_000,
  asked: 200,
  pausing: 100,
  switched: 500,
}
const ANSWER_MS = 5_000
const LEAVE_MS = 2_000
/** A process that did nothing for so long was stopped, or its machine was: what it knows is old. */
const ASLEEP_MS = 3_000
/** It asks first then, and goes on without an answer: the registry may be gone while the log is there. */
const WAKE_MS = 1_000
/** What a failed append has sent may still arrive. */
const DOUBT_MS = 5_000

export interface PartitioningOptions {
  /** Without it the log has so many partitions for ever. */
  readonly facts: Facts | undefined
  /** Of the fact that processes agree in. */
  readonly fact: string
  /** Of this process, the same after a restart. */
  readonly name: string
  /** What holds when nothing is agreed yet. */
  readonly initial: Partitioning
  /** Called with a number that holds from now on, before and behind any change. */
  readonly onSettled: (partitions: number) => Promise<void>
  readonly logger: Logger
}

/**
 * Into how many partitions this process appends, and what its consumers may read, by what all processes of the log agree on:
 * see partitioning.ts. Nobody leads a change: whoever sees that the next step is due takes it, so that it goes on whoever dies.
 */
export class PartitioningMember {
  readonly #options: PartitioningOptions
  readonly #stop = new AbortController()
  readonly #self: MemberName
  #now: Partitioning
  #sinceMs = performance.now()
  #renewedMs = performance.now()
  #changed = Promise.withResolvers<void>()
  #isAppending = false
  /** The number that whoever starts finds. */
  #noted = 0
  #doubtUntilMs = 0
  #awakeMs = performance.now()
  #wasAsleep = false
  #alive: NodeJS.Timeout | undefined
  #watching: Promise<void> | undefined

  constructor(options: PartitioningOptions) {
    this.#options = options
    this.#self = { name: options.name, instance: randomUUID() }
    this.#now = options.initial
  }

  get now(): Partitioning {
    return this.#now
  }

  /** Becomes one of those who are asked. Before that nothing may be appended. Errors: those of the facts. */
  async join(): Promise<void> {
    if (this.#options.facts === undefined) return
    await this.#change((all, nowMs) => partitioning.join(all, this.#self, nowMs))
  }

  /** Begins to follow what is agreed, until it is closed. */
  watch(ends: PartitionEnds): void {
    if (this.#options.facts === undefined) return
    this.#alive = setInterval(() => this.#beAwake(), LOOK_EVERY_MS.settled).unref()
    this.#watching = this.#watch(ends)
  }

  /**
   * To be called before records are sent: resolves with the number of partitions when they may be. Whoever called it calls
   * `left` when nothing is under way any more. Error: `closed`.
   */
  async enter(): Promise<number> {
    if (this.#alive !== undefined) this.#beAwake()
    if (this.#wasAsleep) {
      this.#wasAsleep = false
      await orLate(this.#try(this.refresh()), WAKE_MS)
    }
    while (!this.#mayAppend()) {
      if (this.#stop.signal.aborted) throw new SluiceError('closed', 'the log is closed')
      await this.#changed.promise
    }
    this.#isAppending = true
    return partitioning.appendedTo(this.#now)
  }

  left(isDone: boolean): void {
    this.#isAppending = false
    if (!isDone) this.#doubtUntilMs = performance.now() + DOUBT_MS
  }

  /** How many records from offset `next` on may be read; waits while it is none, and gives 0 once the signal is aborted. */
  async readable(partition: number, next: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      const room = partitioning.readLimit(this.#now, partition, next) - next
      if (room > 0 && !signal.aborted) return room
      if (signal.aborted) return 0
      const { promise, resolve } = Promise.withResolvers<void>()
      const ended = () => resolve()
      signal.addEventListener('abort', ended)
      await Promise.race([this.#changed.promise, promise])
      signal.removeEventListener('abort', ended)
    }
  }

  /** Looks at what is agreed now. Errors: those of the facts. */
  async refresh(): Promise<void> {
    const { facts, fact } = this.#options
    const text = await inTime(facts?.get(fact) ?? Promise.resolve(undefined), ANSWER_MS, 'registry_unavailable')
    if (text !== undefined) this.#apply(partitioning.parsePartitioning(text))
  }

  /** Nothing is appended any more. Never rejects. */
  async close(): Promise<void> {
    this.#stop.abort()
    clearInterval(this.#alive)
    this.#wake()
    await this.#watching
    if (this.#options.facts === undefined) return
    await orLate(this.#try(this.#change((all) => partitioning.leave(all, this.#self))), LEAVE_MS)
  }

  #beAwake(): void {
    const nowMs = performance.now()
    if (nowMs - this.#awakeMs > ASLEEP_MS) this.#wasAsleep = true
    this.#awakeMs = nowMs
  }

  async #watch(ends: PartitionEnds): Promise<void> {
    for (;;) {
      await pause(LOOK_EVERY_MS[this.#now.state], this.#stop.signal)
      if (this.#stop.signal.aborted) return
      await this.#try(this.#look(ends))
    }
  }

  async #look(ends: PartitionEnds): Promise<void> {
    await this.refresh()
    if (!partitioning.isMember(this.#now, this.#self)) {
      // Somebody said that it has ended, or has its name.
      const name = this.#now.members[this.#self.name] === undefined ? this.#self.name : this.#self.instance
      Object.assign(this.#self, { name })
      this.#options.logger.warn({ name }, 'other processes took this one for ended; it is one of them again')
      if (!this.#mayPause()) return
      await this.#change((all, nowMs) => partitioning.join(all, this.#self, nowMs))
    }
    await this.#say()
    const due = stepDue(this.#now, performance.now() - this.#sinceMs, ends)
    const step = await inTime(due, ANSWER_MS, 'log_unavailable')
    if (step !== undefined) await this.#change(step)
  }

  /** What this process has to say. */
  async #say(): Promise<void> {
    const { state, epoch, members } = this.#now
    const own = members[this.#self.name]
    const say = async (said: { heard?: number; paused?: number }) => {
      await this.#change((all, nowMs) => partitioning.say(all, this.#self, said, nowMs))
      this.#renewedMs = performance.now()
    }
    if (state === 'asked' && own?.heard !== epoch) await say({ heard: epoch })
    else if (state === 'pausing' && own?.paused !== epoch && this.#mayPause()) await say({ paused: epoch })
    else if (performance.now() - this.#renewedMs > partitioning.RENEW_MS) await say({})
  }

  #mayAppend(): boolean {
    return this.#now.state !== 'pausing' && (this.#alive === undefined || partitioning.isMember(this.#now, this.#self))
  }

  #mayPause(): boolean {
    return !this.#isAppending && performance.now() >= this.#doubtUntilMs
  }

  async #change(change: Step): Promise<void> {
    const { facts, fact, initial } = this.#options
    const changed = facts?.change(fact, (said, nowMs) => {
      const before = said === undefined ? initial : partitioning.parsePartitioning(said)
      const after = change(before, nowMs)
      return { say: after === before ? undefined : JSON.stringify(after), result: after }
    })
    if (changed !== undefined) this.#apply(await inTime(changed, ANSWER_MS, 'registry_unavailable'))
    const { state, to } = this.#now
    if (state === 'settled' && to !== this.#noted) {
      await this.#options.onSettled(to)
      this.#noted = to
    }
  }

  #apply(now: Partitioning): void {
    const before = this.#now
    // An answer that was overtaken by a newer one.
    if (isBehind(now, before)) return
    this.#now = now
    if (before.state !== now.state || before.epoch !== now.epoch) {
      this.#sinceMs = performance.now()
      this.#tell(now)
    }
    this.#wake()
  }

  #tell({ state, epoch, from, to, reason }: Partitioning): void {
    const { logger } = this.#options
    const about = { state, epoch, from, to }
    if (state === 'settled' && reason !== undefined) {
      logger.warn({ ...about, code: 'log_repartition_given_up', reason }, 'the number of partitions stays')
    } else logger.info(about, 'the number of partitions is changed')
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  /** The registry and Kafka say elsewhere what is wrong with them. */
  async #try(step: Promise<void>): Promise<void> {
    try {
      await step
    } catch (error) {
      const { code, message } = toSluiceError(error)
      this.#options.logger.debug({ code, reason: message }, 'what the processes agree on could not be looked at')
    }
  }
}

const ORDER: Readonly<Record<PartitioningState, number>> = { asked: 0, pausing: 1, switched: 2, settled: 3 }

function isBehind(one: Partitioning, other: Partitioning): boolean {
  return one.epoch < other.epoch || (one.epoch === other.epoch && ORDER[one.state] < ORDER[other.state])
}
