import { toSluiceError } from '../../shared/errors.ts'
import { RETENTION_NEAR } from '../../shared/log/port.ts'
import type { Finding } from './doctor/health-checks.ts'
import type { Session } from './session.ts'

/** What waits in the log, as `/v1/status` tells it. */
export interface Unstored {
  readonly records: number
  readonly seconds: number
  readonly retention: { readonly seconds: number; readonly used: number } | null
}

/** Warnings looked through for gaps in the log. */
const WARNINGS = 100
/** A gap is shown for so long. */
const SHOWN_MS = 7 * 24 * 60 * 60 * 1000

/** What was lost of the log in the last week, newest first, for a person; or why that cannot be told. */
export type Losses = { readonly lost: readonly string[] } | { readonly lostUnknown: string }

export async function lossesOfLog({ api }: Pick<Session, 'api'>): Promise<Losses> {
  interface Letter {
    readonly stage: string
    readonly time: string
    readonly detail: string
  }
  try {
    const query = { kind: 'warning', limit: WARNINGS }
    const { deadLetters = [] } = await api.get<{ deadLetters?: readonly Letter[] }>('/v1/dead-letters', query)
    const recent = deadLetters.filter(({ stage, time }) => stage === 'log' && Date.parse(time) > Date.now() - SHOWN_MS)
    return { lost: recent.map(({ time, detail }) => `${time}: ${detail}`) }
  } catch (error) {
    return { lostUnknown: toSluiceError(error).code }
  }
}

/** For a person, a line each. */
export function lossesText(losses: Losses): readonly string[] {
  return 'lost' in losses ? losses.lost : [`unknown: ${losses.lostUnknown}`]
}

export function unstoredText({ records, seconds, retention }: Unstored): string {
  if (records === 0) return 'nothing waits in the log'
  const oldest = `${records} records wait in the log, the oldest for ${shownSeconds(seconds)}`
  if (retention === null) return oldest
  const used = `${Math.round(retention.used * 100)} % of the retention is used`
  return `${oldest}; retention removes it in ${shownSeconds(retention.seconds)} at the earliest (${used})`
}

/** How near retention is to what is not stored, and what it has taken. */
export function checkLog(unstored: Unstored | null | undefined, losses: Losses): Finding {
  const check = 'log'
  if (unstored === null || unstored === undefined) {
    return { check, health: 'warn', detail: 'the log does not answer', fix: 'See /readyz for what fails.' }
  }
  const lost = lossesText(losses)
  const detail = [unstoredText(unstored), ...lost].join('; ')
  if ((unstored.retention?.used ?? 0) >= RETENTION_NEAR) {
    const fix =
      'Let the workers catch up, or raise the retention of the log: what it reaches before it is stored is lost.'
    return { check, health: 'warn', detail, fix }
  }
  if (lost.length === 0) return { check, health: 'ok', detail }
  const fix = 'Records were lost before they were stored: see `sluice dead-letters list --kind warning`.'
  return { check, health: 'warn', detail, fix }
}

function shownSeconds(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(1)} s`
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`
}

interface RepartitionAnswer {
  readonly state: string
  readonly from: number
  readonly to: number
  readonly since: string
}

type KnownRepartition = { readonly repartition?: RepartitionAnswer } | { readonly repartitionUnknown: string }

/** The change of the number of partitions that is under way, if there is one; or why that cannot be told. */
export async function repartitionOfLog({ api }: Pick<Session, 'api'>): Promise<KnownRepartition> {
  try {
    const { repartition } = await api.get<{ repartition?: RepartitionAnswer | null }>('/v1/log')
    return repartition === undefined || repartition === null ? {} : { repartition }
  } catch (error) {
    return { repartitionUnknown: toSluiceError(error).code }
  }
}
