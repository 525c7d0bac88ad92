import { toSluiceError } from '../../shared/errors.ts'
import { textTable } from '../../shared/text-table.ts'
import type { Finding } from './doctor/health-checks.ts'
import type { Session } from './session.ts'

interface Worker {
  readonly id: string
  readonly host: string | null
  readonly partitions: readonly number[]
  readonly features?: readonly string[]
}

/** The ingest workers that live, or why they cannot be told. */
export type Workers = { readonly workers: readonly Worker[] } | { readonly workersUnknown: string }

export async function listWorkers({ api }: Pick<Session, 'api'>): Promise<Workers> {
  try {
    return { workers: (await api.get<{ workers: readonly Worker[] }>('/v1/workers')).workers }
  } catch (error) {
    return { workersUnknown: toSluiceError(error).code }
  }
}

export function shownWorkers(known: Workers): string[] {
  if ('workersUnknown' in known) return [`workers    unknown: ${known.workersUnknown}`]
  if (known.workers.length === 0) return []
  const rows = known.workers.map(({ id, host, partitions, features = [] }) => {
    return [id, host ?? '', partitions.join(' '), features.join(' ')]
  })
  return ['', textTable(['worker', 'host', 'partitions', 'reads'], rows)]
}

export function checkWorkers(answer: Workers): Finding {
  const check = 'workers'
  if ('workersUnknown' in answer) {
    return { check, health: 'warn', detail: answer.workersUnknown, fix: 'See /readyz for what fails.' }
  }
  const { workers } = answer
  const known = new Set(workers.flatMap(({ features = [] }) => features))
  const behind = workers.filter(({ features = [] }) => features.length < known.size).map(({ host, id }) => host ?? id)
  if (behind.length > 0) {
    const detail = `${workers.length} live, of which some are of a version before: ${behind.slice(0, 10).join(', ')}`
    return { check, health: 'warn', detail, fix: 'Upgrade them: what is new is not used before (docs/upgrade.md).' }
  }
  if (workers.length > 0) return { check, health: 'ok', detail: `${workers.length} live` }
  const fix = 'Start an ingest worker: the log keeps what devices send within its retention.'
  return { check, health: 'fail', detail: 'none lives: nothing is stored', fix }
}
