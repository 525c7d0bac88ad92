import { deadLetterToRecord } from '../../shared/dead-letter.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import type { GapReason, LogGap, TelemetryLog } from '../../shared/log/port.ts'
import type { Logger } from '../../shared/process/logger.ts'
import type { LogRecord } from '../../shared/telemetry.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Retry } from './retry.ts'

/** Gaps that are remembered as told; beyond it all are forgotten, and the next that is met again is told again. */
const MAX_TOLD = 10_000

const CODES: Readonly<Record<GapReason, ErrorCode>> = {
  retention: 'offset_reset',
  damage: 'log_corrupt',
  replaced: 'log_replaced',
}

const WHAT: Readonly<Record<GapReason, string>> = {
  retention: 'deleted by retention before they were read',
  damage: 'damaged and could not be read',
  replaced: 'in a log that was deleted, cut or restored before they were read',
}

interface GapsOptions {
  readonly log: Pick<TelemetryLog, 'append'>
  readonly retry: Pick<Retry, 'run'>
  readonly metrics: Pick<IngestMetrics, 'gap'>
  readonly logger: Logger
}

/**
 * Tells what of the log was lost before it was stored: one dead letter for each gap, a line, and a count. A gap that is met
 * again, because its end was not committed yet, is told once by a process, and has one letter for all.
 */
export class Gaps {
  readonly #options: GapsOptions
  readonly #told = new Set<string>()
  readonly #lost = new Map<GapReason, number>()

  constructor(options: GapsOptions) {
    this.#options = options
  }

  /** Resolves when their letters are durable. */
  async append(gaps: readonly LogGap[]): Promise<void> {
    const { log, retry, metrics, logger } = this.#options
    for (const gap of gaps) {
      const name = `${gap.log}/${gap.partition}/${gap.from}/${gap.next}`
      if (this.#told.has(name)) continue
      const letter = toLetter(gap)
      await retry.run('log', () => log.append('telemetry.dead-letter', [letter]))
      if (this.#told.size >= MAX_TOLD) this.#told.clear()
      this.#told.add(name)
      this.#lost.set(gap.reason, (this.#lost.get(gap.reason) ?? 0) + gap.lost)
      metrics.gap.inc({ reason: gap.reason }, gap.lost)
      logger.error({ code: CODES[gap.reason], ...gap }, `records were ${WHAT[gap.reason]}`)
    }
  }

  /** What was lost since the start, for a person; undefined for nothing. */
  summary(): string | undefined {
    if (this.#lost.size === 0) return undefined
    return Array.from(this.#lost, ([reason, lost]) => `${countOf(reason, lost)} records were ${WHAT[reason]}`).join(
      '; ',
    )
  }
}

/** The record of the letter; what it says in words stands in its payload as JSON. */
function toLetter(gap: LogGap): LogRecord {
  const { reason, log, partition, from, lost, beforeMs, behindMs } = gap
  const last = from + Math.max(lost, 1) - 1
  const offsets = reason === 'replaced' && lost === 0 ? `offset ${from} on` : `offsets ${from} to ${last}`
  const span = `received after ${timeOf(beforeMs)} and before ${timeOf(behindMs)}`
  const now = Date.now()
  return deadLetterToRecord({
    stage: 'log',
    code: CODES[reason],
    detail: `${countOf(reason, lost)} records of partition ${partition}, ${offsets}, ${span}, were ${WHAT[reason]}`,
    who: 'telemetry.raw',
    topic: undefined,
    key: 'telemetry.raw',
    payload: Buffer.from(JSON.stringify(gap)),
    ms: now,
    ns: 0,
    log,
    source: { partition, offset: from, element: 0 },
    firstFailedMs: now,
    attempts: 1,
  })
}

/** How long a log was that is gone is not known for sure. */
function countOf(reason: GapReason, lost: number): string {
  if (reason !== 'replaced') return String(lost)
  return lost === 0 ? 'an unknown number of' : `at least ${lost}`
}

function timeOf(ms: number | undefined): string {
  return ms === undefined ? 'an unknown time' : new Date(ms).toISOString()
}
