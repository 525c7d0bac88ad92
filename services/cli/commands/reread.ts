import type { ExitCode, Session } from '../session.ts'
import { followJob, lineOf, type JobAnswer } from './jobs.ts'

export interface RereadOptions {
  readonly reread?: boolean
  readonly dryRun?: boolean
  readonly detach?: boolean
}

/** What is read anew: local times of a tenant, or of a stream of it. */
interface Asked {
  readonly tenant: string
  readonly zone?: string
  readonly stream?: string
}

interface RereadAnswer {
  readonly job: JobAnswer | null
  readonly counts: Readonly<Record<string, number>>
  readonly complete: boolean
}

/** Says what a zone would move. */
export async function countReread(session: Session, asked: Asked): Promise<void> {
  const answer = await session.api.post<RereadAnswer>('/v1/policies/reread', { ...asked, dryRun: true })
  session.result(answer, () => {
    const end = answer.complete ? '' : ' There are more records than a dry run looks at.'
    return `${lineOf({ counts: answer.counts, progress: '' })}. Nothing was set.${end}`
  })
}

/** Moves what a zone moves, and waits for it unless it is detached. */
export async function rereadTimes(session: Session, asked: Asked, detach: boolean): Promise<ExitCode | void> {
  const { job } = await session.api.post<RereadAnswer>('/v1/policies/reread', { ...asked })
  if (job === null) return
  session.note(`Job ${job.id} (${job.kind}) ${detach ? 'was made' : 'is at it; an interruption leaves it running'}.`)
  return detach ? undefined : followJob(session, job)
}
