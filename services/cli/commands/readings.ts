import { parseDeviceName, type DeviceName } from '../argument-parsers.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'
import { followJob, type JobAnswer } from './jobs.ts'

interface DeleteOptions {
  readonly stream?: string
  readonly from?: string
  readonly to?: string
  readonly dryRun?: boolean
  readonly detach?: boolean
}

interface DeleteAnswer {
  readonly from: string
  readonly to: string
  readonly fields: readonly { readonly stream: string; readonly field: string; readonly points: number }[]
  readonly points: number
  /** Of a dry run of a server that counts them. */
  readonly letters?: number
  readonly lettersComplete?: boolean
  readonly job: JobAnswer | null
}

export function addReadings({ program, run }: Commands): void {
  program
    .command('readings')
    .description('stored readings')
    .command('delete')
    .description('delete readings of a device, those that are still on their way with them')
    .argument('<tenant/device>', 'the device', parseDeviceName)
    .option('--stream <name>', 'only this stream')
    .option('--from <time>', 'begin of the span, inclusive: RFC 3339 or ms since 1970 (the first reading)')
    .option('--to <time>', 'end of the span, exclusive (now)')
    .option('--dry-run', 'only count what would be deleted')
    .option('--detach', 'do not wait for the job')
    .action(run(deleteReadings))
}

async function deleteReadings(
  session: Session,
  { tenant, device }: DeviceName,
  { stream, from, to, dryRun = false, detach = false }: DeleteOptions,
): Promise<ExitCode | void> {
  const path = `/v1/devices/${tenant}/${encodeURIComponent(device)}/readings/delete`
  const answer = await session.api.post<DeleteAnswer>(path, { stream, from, to, dryRun })
  if (answer.job !== null && !detach) {
    session.note(`Deleting ${answer.points} points in job ${answer.job.id}; an interruption leaves it running.`)
    return followJob(session, answer.job)
  }
  session.result(answer, () => {
    const span = `from ${answer.from} to ${answer.to}`
    const rows = answer.fields.map((it) => [it.stream, it.field, String(it.points)])
    const table = rows.length === 0 ? [] : [textTable(['stream', 'field', 'points'], rows)]
    const end = answer.job === null ? 'would be deleted.' : `are being deleted by job ${answer.job.id}.`
    return [...table, `${answer.points} points${lettersText(answer)} ${span} ${end}`].join('\n')
  })
}

function lettersText({ letters, lettersComplete }: DeleteAnswer): string {
  if (letters === undefined) return ''
  return ` and ${lettersComplete === false ? 'at least ' : ''}${letters} dead letters`
}
