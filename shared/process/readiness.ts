import { toSluiceError } from '../errors.ts'
import type { Logger } from './logger.ts'
import type { TelemetryLog } from '../log/port.ts'
import type { PointStore } from '../points/port.ts'
import type { Registry } from '../registry/port.ts'

/** One thing that must work before work is sent here; `detail` says what is wrong with it. */
export interface ReadinessCheck {
  readonly name: string
  check(): Promise<{ readonly ok: boolean; readonly detail?: string }>
}

export interface Readiness {
  readonly ready: boolean
  readonly checks: { readonly name: string; readonly ok: boolean; readonly detail?: string }[]
}

/** A dependency that does not answer within this is not ready. */
const CHECK_LIMIT_MS = 2000

/** Runs all checks at once; one that throws or is late is not ok. Never rejects. */
export async function runChecks(checks: readonly ReadinessCheck[], logger: Logger): Promise<Readiness> {
  const results = await Promise.all(checks.map((check) => runCheck(check, logger)))
  return { ready: results.every((result) => result.ok), checks: results }
}

async function runCheck({ name, check }: ReadinessCheck, logger: Logger): Promise<Readiness['checks'][number]> {
  const late = Promise.withResolvers<{ ok: boolean; detail?: string }>()
  const detail = `no answer within ${CHECK_LIMIT_MS / 1000} s`
  const timer = setTimeout(() => late.resolve({ ok: false, detail }), CHECK_LIMIT_MS)
  try {
    return { name, ...(await Promise.race([check(), late.promise])) }
  } catch (error) {
    // Anybody may read the answer, and messages of dependencies name hosts and paths.
    logger.warn({ err: error, check: name }, 'readiness check failed')
    return { name, ok: false, detail: toSluiceError(error).code }
  } finally {
    clearTimeout(timer)
  }
}

/** A check for each port that is given: the cheapest question that only a working one answers. */
export function portChecks(ports: {
  readonly log?: TelemetryLog
  readonly points?: PointStore
  readonly registry?: Registry
}): ReadinessCheck[] {
  const { log, points, registry } = ports
  const answers = async (question: Promise<unknown>) => {
    await question
    return { ok: true }
  }
  const checks: ReadinessCheck[] = []
  if (log !== undefined) {
    checks.push({ name: 'log', check: () => answers(log.offsets('telemetry.raw')) })
    checks.push({ name: 'log durability', check: () => log.durability() })
  }
  if (points !== undefined) checks.push({ name: 'points', check: () => answers(points.series('readiness', 'check')) })
  if (registry !== undefined) {
    checks.push({ name: 'registry', check: () => answers(registry.getDevice('readiness', 'check')) })
  }
  return checks
}
