import { Counter } from 'prom-client'
import { BACKOFF, backoffMs } from '../../../shared/backoff.ts'
import { deadLetterToRecord, KEPT_PAYLOAD_BYTES, type DeadLetter } from '../../../shared/dead-letter.ts'
import { toSluiceError, type ErrorCode } from '../../../shared/errors.ts'
import { RecordsTooLarge, type TelemetryLog } from '../../../shared/log/port.ts'
import type { Logger } from '../../../shared/process/logger.ts'
import { LruMap } from '../../../shared/lru.ts'
import { oncePer, TELL_EVERY_MS } from '../../../shared/process/once-per.ts'
import { gaugeOf, type Metrics } from '../../../shared/process/metrics.ts'
import type { LogRecord } from '../../../shared/telemetry.ts'
import { deviceKey, parseTelemetryTopic } from '../../../shared/topics.ts'

/** Where the broker puts what it turned away: logins, connections and messages. */
export interface Refusals {
  /**
   * Counts the refusal and, while the rate allows, keeps it as a dead letter. Never throws, never waits; the payload
   * is copied before it returns (its first 4 KiB).
   */
  record(letter: DeadLetter): void
  /** Writes what is waiting, for at most a second, and stops. */
  close(): Promise<void>
}

export interface RefusalOptions {
  readonly log: TelemetryLog
  /** Refusals kept per second in the long run. */
  readonly ratePerSecond: number
  /** Refusals kept at once after a quiet time. */
  readonly burst: number
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Letters waiting for the log, each below 8 KiB: at most 2 MiB, which covers a log that stalls for 25 s. */
const MAX_WAITING = 256
/** Records per append: a refusal is never urgent enough to compete with telemetry. */
const MAX_BATCH = 64
/** Between two appends: each is a commit of its own, and ten of them a second were felt by every hundredth message. */
const APART_MS = 500
const CLOSE_MS = 1_000
/** Longest topic and name kept, in UTF-16 units. Refused ones may be 64 KiB long. */
const MAX_TEXT = 512

/** A client that tries again and again is kept once in this time, so that it does not hide all others. */
const REPEAT_MS = 60_000
/** Refused logins remembered by who and why. */
const MAX_REMEMBERED = 2_000

type Dropped = 'rate' | 'repeat' | 'queue_full' | 'log_failed'

export function createRefusals(options: RefusalOptions): Refusals {
  return new LoggedRefusals(options)
}

class LoggedRefusals implements Refusals {
  readonly #log: TelemetryLog
  readonly #logger: Logger
  readonly #ratePerSecond: number
  readonly #burst: number
  /** Counted here and handed to the counter when it is read: a flood of refusals must stay cheap. */
  readonly #counts = new Map<ErrorCode, number>()
  readonly #dropped: Counter<'reason'>
  /** When a refused login was kept last. */
  readonly #kept = new LruMap<string, number>(MAX_REMEMBERED)
  readonly #mayTell = oncePer(TELL_EVERY_MS)
  #waiting: DeadLetter[] = []
  #tokens: number
  #refilledAt = performance.now()
  #writing: Promise<void> | undefined
  /** Until the next append may begin. */
  #pause: NodeJS.Timeout | undefined
  #closed = false

  constructor({ log, ratePerSecond, burst, logger, metrics }: RefusalOptions) {
    this.#log = log
    this.#logger = logger
    this.#ratePerSecond = ratePerSecond
    this.#burst = burst
    this.#tokens = burst
    const counts = this.#counts
    new Counter({
      name: 'sluice_broker_refused_total',
      help: 'Logins, connections and messages refused, by error code',
      labelNames: ['code'],
      registers: [metrics],
      collect() {
        for (const [code, count] of counts) this.inc({ code }, count)
        counts.clear()
      },
    })
    this.#dropped = new Counter({
      name: 'sluice_broker_refusals_not_kept_total',
      help: 'Refusals that were counted but not kept as dead letters, by reason',
      labelNames: ['reason'],
      registers: [metrics],
    })
    gaugeOf(
      metrics,
      'sluice_broker_refusals_waiting',
      'Refusals waiting to be written to the log as dead letters',
      () => this.#waiting.length,
    )
  }

  record(letter: DeadLetter): void {
    this.#counts.set(letter.code, (this.#counts.get(letter.code) ?? 0) + 1)
    if (this.#closed) return this.#drop('log_failed', 1)
    const repeat = letter.stage === 'connect' ? `${letter.code} ${letter.who.slice(0, MAX_TEXT)}` : undefined
    const now = performance.now()
    if (repeat !== undefined && now - (this.#kept.get(repeat) ?? -REPEAT_MS) < REPEAT_MS) return this.#drop('repeat', 1)
    if (!this.#takeToken()) return this.#drop('rate', 1)
    if (repeat !== undefined) this.#kept.set(repeat, now)
    if (this.#waiting.length >= MAX_WAITING) return this.#drop('queue_full', 1)
    this.#waiting.push(bounded(letter))
    this.#write()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#pause)
    this.#pause = undefined
    this.#write()
    const deadline = Promise.withResolvers<void>()
    const timer = setTimeout(deadline.resolve, CLOSE_MS)
    await Promise.race([this.#drain(), deadline.promise])
    clearTimeout(timer)
    if (this.#waiting.length === 0) return
    this.#logger.warn({ refusals: this.#waiting.length }, 'refusals not kept: the log did not accept them in time')
    this.#drop('log_failed', this.#waiting.length)
    this.#waiting = []
  }

  /** Ends with the first failure: after closing nothing is tried twice. */
  async #drain(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  #takeToken(): boolean {
    const now = performance.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#refilledAt) / 1000) * this.#ratePerSecond)
    this.#refilledAt = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** One append at a time, and a pause after each; what comes in the meantime goes into the next. */
  #write(): void {
    if (this.#writing !== undefined || this.#pause !== undefined || this.#waiting.length === 0) return
    this.#writing = this.#append().then((written) => {
      this.#writing = undefined
      if (!this.#closed) this.#rest(written ? APART_MS : backoffMs(BACKOFF.refusals, 1))
      else if (written) this.#write()
    })
  }

  #rest(ms: number): void {
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      this.#write()
    }, ms).unref()
  }

  /** Never rejects. False when the log did not take the batch and it is to be tried again later. */
  async #append(): Promise<boolean> {
    const batch = this.#waiting.splice(0, MAX_BATCH)
    try {
      await this.#log.append('telemetry.dead-letter', batch.map(deadLetterToRecord))
      return true
    } catch (error) {
      const { code, canRetry, message } = toSluiceError(error)
      if (this.#mayTell(code))
        this.#logger.warn({ code, reason: message, refusals: batch.length }, 'refusals could not be written to the log')
      if (!canRetry) {
        this.#drop('log_failed', error instanceof RecordsTooLarge ? error.records.size : batch.length)
        return true
      }
      this.#waiting.unshift(...batch)
      return false
    }
  }

  #drop(reason: Dropped, count: number): void {
    this.#dropped.inc({ reason }, count)
  }
}

/** What is kept of a record that was taken from a client, and that the log found too large. */
export function tooLargeLetter({ key, value, ms, ns }: LogRecord, topic: string, detail: string): DeadLetter {
  const at = { ms, ns, firstFailedMs: ms, attempts: 1, source: undefined }
  const names = parseTelemetryTopic(topic)
  const who = names === undefined ? key : deviceKey(names.tenant, names.device)
  return { stage: 'publish', code: 'payload_too_large', detail, who, topic, key, payload: value, ...at }
}

/** A copy that holds on to nothing of the connection and has a bounded size. */
function bounded(letter: DeadLetter): DeadLetter {
  const text = (value: string): string => value.slice(0, MAX_TEXT).toWellFormed()
  return {
    ...letter,
    detail: text(letter.detail),
    who: text(letter.who),
    key: text(letter.key),
    topic: letter.topic === undefined ? undefined : text(letter.topic),
    payload: new Uint8Array(letter.payload.subarray(0, KEPT_PAYLOAD_BYTES)),
  }
}
