import type { Command } from 'commander'
import { textTable } from '../../../shared/text-table.ts'
import { wholeNumber } from '../argument-parsers.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import { followJob, lineOf, type JobAnswer } from './jobs.ts'

interface LetterJobOptions {
  readonly dryRun?: boolean
  readonly detach?: boolean
  /** And which letters. */
  readonly [option: string]: string | number | boolean | undefined
}

interface PreviewPoint {
  readonly letter: string
  readonly tenant: string
  readonly device: string
  readonly stream: string
  readonly field: string
  readonly time: string
  readonly value: string | number | boolean
  readonly stored: string | number | boolean | null
  readonly outcome: string
}

interface LetterJobAnswer {
  readonly job: JobAnswer | null
  readonly counts: Readonly<Record<string, number>>
  readonly points: readonly PreviewPoint[]
  readonly complete: boolean
}

/** What is done about dead letters; `filtered` gives a command the options by which letters are chosen. */
export function addLetterJobs(letters: Command, run: Commands['run'], filtered: (command: Command) => Command): void {
  const verbs = {
    replay: 'store what letters hold, once what was wrong with them is mended',
    discard: 'note that letters are to be left as they are',
  }
  for (const [verb, description] of Object.entries(verbs)) {
    filtered(letters.command(verb).description(description))
      .option('--rate <count>', 'letters a second, at most', wholeNumber(1, 10_000), 500)
      .option('--dry-run', 'only tell what would be done')
      .option('--detach', 'do not wait for the job')
      .action(run((session: Session, options: LetterJobOptions) => letterJob(session, verb, options)))
  }
}

async function letterJob(
  session: Session,
  verb: string,
  { detach = false, ...asked }: LetterJobOptions,
): Promise<ExitCode | void> {
  const answer = await session.api.post<LetterJobAnswer>(`/v1/dead-letters/${verb}`, asked)
  if (answer.job !== null && !detach) {
    session.note(`Job ${answer.job.id} (${answer.job.kind}) is at it; an interruption leaves it running.`)
    return followJob(session, answer.job)
  }
  session.result(answer, () => (answer.job === null ? describePreview(answer) : `Made job ${answer.job.id}.`))
}

function describePreview({ counts, points, complete }: LetterJobAnswer): string {
  const rows = points.map((it) => {
    const place = `${it.tenant}/${it.device} ${it.stream}`
    return [it.time, place, it.field, show(it.stored), show(it.value), it.outcome]
  })
  const table = textTable(['time', 'device and stream', 'field', 'stored now', 'replayed', 'outcome'], rows)
  const end = complete ? '' : ' There are more letters than a dry run looks at.'
  return [...(rows.length === 0 ? [] : [table]), `${lineOf({ counts, progress: '' })}.${end}`].join('\n')
}

function show(value: string | number | boolean | null): string {
  return value === null ? '' : JSON.stringify(value)
}
