import { wholeNumber } from '../argument-parsers.ts'
import { collectPages } from '../pages.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'
import { printable } from '../../../shared/printable.ts'

/** A job as the API shows it. */
export interface JobAnswer {
  readonly id: number
  readonly kind: string
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'
  readonly counts: Readonly<Record<string, number>>
  readonly progress: string
  readonly who: string
  readonly createdAt: string
  readonly endedAt: string | null
}

export function addJobs({ program, run }: Commands): void {
  const jobs = program
    .command('jobs')
    .description('work that takes longer than a request: deletions, replays and rewriting')
  jobs
    .command('list')
    .description('list jobs, newest first')
    .option('--limit <count>', 'maximum number to list', wholeNumber(1, 100_000), 20)
    .action(run(listJobs))
  jobs
    .command('show')
    .description('show how far a job is')
    .argument('<id>', 'its number', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .action(run(showJob))
  jobs
    .command('cancel')
    .description('end a job; what it did stays')
    .argument('<id>', 'its number', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .action(run(cancelJob))
}

async function listJobs(session: Session, { limit }: { limit: number }): Promise<void> {
  const { items, more } = await collectPages(limit, async (before, size) => {
    const page = await session.api.get<{ jobs: JobAnswer[]; next: number | null }>('/v1/jobs', { before, limit: size })
    return { items: page.jobs, next: page.next === null ? null : String(page.next) }
  })
  session.result({ jobs: items, more }, () => {
    if (items.length === 0) return 'No jobs yet.'
    const rows = items.map((it) => [String(it.id), it.kind, it.state, it.createdAt, it.who, lineOf(it)])
    return textTable(['job', 'kind', 'state', 'made', 'by', 'progress'], rows)
  })
}

async function showJob(session: Session, id: number): Promise<void> {
  const job = await session.api.get<JobAnswer>(`/v1/jobs/${id}`)
  session.result(job, () => describeJob(job))
}

async function cancelJob(session: Session, id: number): Promise<void> {
  const job = await session.api.post<JobAnswer>(`/v1/jobs/${id}/cancel`, {})
  session.result(job, () => describeJob(job))
}

const POLL_MS = 500

/** Shows a job until it has ended; 1 when it did not end well. A first interruption leaves it running. */
export async function followJob(session: Session, made: JobAnswer): Promise<ExitCode> {
  const signal = session.host.interruption()
  let job = made
  while (job.endedAt === null && !signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    job = await session.api.get<JobAnswer>(`/v1/jobs/${made.id}`)
  }
  session.result(job, () => describeJob(job))
  return job.state === 'failed' || job.state === 'cancelled' ? 1 : 0
}

function describeJob(job: JobAnswer): string {
  return printable(`Job ${job.id} (${job.kind}) is ${job.state}. ${lineOf(job)}`.trimEnd())
}

/** How far a job is, in one line. */
export function lineOf({ counts, progress }: Pick<JobAnswer, 'counts' | 'progress'>): string {
  const counted = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  return [counted.join(', '), progress].filter((part) => part !== '').join('; ')
}
