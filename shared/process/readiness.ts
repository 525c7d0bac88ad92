import { Gauge } from 'prom-client'
import { toSluiceError } from '../errors.ts'
import { orLate } from '../in-time.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { TelemetryLog } from '../log/port.ts'
import type { PointStore } from '../points/port.ts'
import type { Registry } from '../registry/port.ts'

/** Something that is told of a process; `detail` says what is wrong with it. */
export interface ReadinessCheck {
  readonly name: string
  /**
   * It is a server that others share. When it fails, sending the work elsewhere helps nobody, and taking every process away
   * stops also what works without it: so it is told, and the process stays ready.
   */
  readonly isShared?: boolean
  check(): Promise<{ readonly ok: boolean; readonly detail?: string }>
}

interface Verdict {
  readonly name: string
  readonly ok: boolean
  readonly shared?: true
  readonly detail?: string
}

/** What `/readyz` answers: ready when this process takes work, whatever is told of shared servers. */
export interface ReadinessAnswer {
  readonly ready: boolean
  readonly checks: Verdict[]
}

/** What does not answer within this is not ok. */
const CHECK_LIMIT_MS = 2_000
/** Probes have short limits: for what is slower, the verdict of before is told. */
const SHARED_WAIT_MS = 500
/** Shared servers are asked at most so often, however many probes come, */
const SHARED_EVERY_MS = 1_000
/** and with or without probes so often: for the metric. */
const LOOK_MS = 5_000

interface ReadinessOptions {
  /** Asked for each time, so that checks can be added while the process starts. */
  readonly checks: () => readonly ReadinessCheck[]
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Whether this process takes work, and how the servers are that it uses: for probes, people and the metric `sluice_ready`. */
export class Readiness {
  readonly #options: ReadinessOptions
  readonly #verdicts = new Map<string, Verdict>()
  readonly #gauge: Gauge<'check'>
  readonly #timer: NodeJS.Timeout
  #own: Promise<unknown> | undefined
  #shared: Promise<unknown> | undefined
  #sharedMs = -Infinity

  constructor(options: ReadinessOptions) {
    this.#options = options
    this.#gauge = new Gauge({
      name: 'sluice_ready',
      help: '1 while a check of /readyz is ok, asked every 5 s; 0 for a shared server leaves the process ready',
      labelNames: ['check'],
      registers: [options.metrics],
    })
    this.#timer = setInterval(() => void this.ask(), LOOK_MS).unref()
  }

  /** However many ask, each check runs once at a time. Never rejects. */
  async ask(): Promise<ReadinessAnswer> {
    const checks = this.#options.checks()
    this.#own ??= this.#run(checks.filter(({ isShared }) => isShared !== true)).finally(() => (this.#own = undefined))
    if (performance.now() - this.#sharedMs >= SHARED_EVERY_MS) {
      this.#shared ??= this.#run(checks.filter(({ isShared }) => isShared === true)).finally(() => {
        this.#shared = undefined
        this.#sharedMs = performance.now()
      })
    }
    await Promise.all([this.#own, this.#shared === undefined ? undefined : orLate(this.#shared, SHARED_WAIT_MS)])
    const verdicts = checks.map((check) => this.#verdicts.get(check.name) ?? verdictOf(check, { ok: false, ...NEW }))
    return { ready: verdicts.every(({ ok, shared }) => ok || shared === true), checks: verdicts }
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #run(checks: readonly ReadinessCheck[]): Promise<void> {
    await Promise.all(
      checks.map(async (check) => {
        const verdict = await runCheck(check, this.#options.logger)
        this.#verdicts.set(check.name, verdict)
        this.#gauge.set({ check: check.name }, verdict.ok ? 1 : 0)
      }),
    )
  }
}

const NEW = { detail: 'no answer yet' }

function verdictOf({ name, isShared }: ReadinessCheck, result: { ok: boolean; detail?: string }): Verdict {
  return { name, ...(isShared === true ? { shared: true } : {}), ...result }
}

/** A check that throws or is late is not ok. */
async function runCheck(check: ReadinessCheck, logger: Logger): Promise<Verdict> {
  const late = Promise.withResolvers<{ ok: boolean; detail?: string }>()
  const detail = `no answer within ${CHECK_LIMIT_MS / 1000} s`
  const timer = setTimeout(() => late.resolve({ ok: false, detail }), CHECK_LIMIT_MS)
  try {
    return verdictOf(check, await Promise.race([check.check(), late.promise]))
  } catch (error) {
    // Anybody may read the answer, and messages of dependencies name hosts and paths.
    logger.warn({ err: error, check: check.name }, 'readiness check failed')
    return verdictOf(check, { ok: false, detail: toSluiceError(error).code })
  } finally {
    clearTimeout(timer)
  }
}

interface CheckedPorts {
  readonly log?: TelemetryLog
  readonly points?: PointStore
  readonly registry?: Registry
}

/**
 * A check for each port that is given: the cheapest question that only a working one answers. `isShared`: behind them are
 * servers, and not parts of this process.
 */
export function portChecks({ log, points, registry }: CheckedPorts, isShared: boolean): ReadinessCheck[] {
  const answers = async (question: Promise<unknown>) => {
    await question
    return { ok: true }
  }
  const checks: ReadinessCheck[] = []
  if (log !== undefined) {
    checks.push({ name: 'log', isShared, check: () => answers(log.offsets('telemetry.raw')) })
    checks.push({ name: 'log durability', isShared, check: () => log.durability() })
  }
  if (points !== undefined) {
    checks.push({ name: 'points', isShared, check: () => answers(points.series('readiness', 'check')) })
  }
  if (registry !== undefined) {
    checks.push({ name: 'registry', isShared, check: () => answers(registry.getDevice('readiness', 'check')) })
  }
  return checks
}
