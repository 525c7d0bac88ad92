import { Option, type Command } from 'commander'
import { parseName, wholeNumber } from '../argument-parsers.ts'
import { collectPages } from '../pages.ts'
import type { Commands, Session } from '../session.ts'
import { addLetterExport } from './letter-export.ts'
import { addLetterJobs } from './letter-jobs.ts'
import { addLetterShow, describeDone, placeOf, type LetterDone } from './letter-show.ts'
import { LETTER_KINDS } from '../../../shared/dead-letter.ts'
import { ERRORS, isErrorCode } from '../../../shared/errors.ts'
import type { Fault } from '../../../shared/faults.ts'
import { textTable } from '../../../shared/text-table.ts'

interface DeadLetterAnswer {
  readonly id: string
  readonly faults: readonly Fault[]
  readonly faultCount: number
  readonly who: string
  readonly topic: string | null
  readonly receivedAt: string
  /** Undefined where the server is of an earlier version. */
  readonly done?: LetterDone | null
}

interface Filter {
  readonly id?: string
  readonly tenant?: string
  readonly device?: string
  readonly from?: string
  readonly to?: string
  readonly code?: string
  readonly kind?: string
}

interface ListOptions extends Filter {
  readonly limit: number
}

/** Faults of one letter shown in a table; `--json` has all that are listed. */
const SHOWN_FAULTS = 10

export function addDeadLetters({ program, run }: Commands): void {
  const letters = program
    .command('dead-letters')
    .description('what could not be stored, clients and messages that were refused, and warnings')
  filtered(letters.command('list').description('list dead letters, newest first'))
    .option('--limit <count>', 'maximum number to list', wholeNumber(1, 100_000), 20)
    .action(run(listDeadLetters))
  filtered(letters.command('stats').description('count dead letters by cause and device')).action(run(countDeadLetters))
  addLetterShow(letters, run)
  addLetterExport(letters, run, filtered)
  addLetterJobs(letters, run, filtered)
}

/** The options by which letters are chosen. */
function filtered(command: Command): Command {
  return command
    .option('--id <id>', 'only this letter')
    .option('--tenant <name>', 'only this tenant', parseName)
    .option('--device <name>', 'only of devices with this name')
    .option('--code <code>', 'only with this error code')
    .option('--from <time>', 'failed then or later: RFC 3339 or ms since 1970')
    .option('--to <time>', 'failed before')
    .addOption(new Option('--kind <kind>', 'only this kind').choices([...LETTER_KINDS]))
}

async function listDeadLetters(session: Session, { limit, ...filter }: ListOptions): Promise<void> {
  const { items, more } = await collectPages(limit, async (cursor, size) => {
    const query = { ...filter, cursor, limit: size }
    const page = await session.api.get<{ deadLetters: DeadLetterAnswer[]; next: string | null }>(
      '/v1/dead-letters',
      query,
    )
    return { items: page.deadLetters, next: page.next }
  })
  session.result({ deadLetters: items, more }, () => {
    if (items.length === 0) return 'No dead letters.'
    const rows = items.flatMap(rowsOf)
    const codes = new Set(items.flatMap(({ faults }) => faults.map(({ code: one }) => one)))
    const fixes = [...codes].filter(isErrorCode).map((one) => `  ${one}: ${ERRORS[one].fix}`)
    const table = textTable(['id', 'received', 'who', 'topic', 'done', 'where', 'code', 'detail'], rows)
    return [table, '', 'What to do:', ...fixes].join('\n')
  })
}

interface StatsAnswer {
  readonly letters: number
  readonly codes: readonly { readonly code: string; readonly letters: number; readonly faults: number }[]
  readonly who: readonly { readonly who: string; readonly letters: number }[]
  readonly states: Readonly<Record<string, number>>
  readonly first: string | null
  readonly last: string | null
  readonly complete: boolean
}

async function countDeadLetters(session: Session, filter: Filter): Promise<void> {
  const stats = await session.api.get<StatsAnswer>('/v1/dead-letters/stats', { ...filter })
  session.result(stats, () => {
    if (stats.letters === 0) return 'No dead letters.'
    const states = Object.entries(stats.states).map(([state, count]) => `${state} ${count}`)
    const codes = stats.codes.map(({ code, letters, faults }) => [code, String(letters), String(faults)])
    const who = stats.who.map((one) => [one.who, String(one.letters)])
    const more = stats.complete ? '' : ' There are more letters than are counted in one answer.'
    return [
      `${stats.letters} letters from ${stats.first} to ${stats.last}: ${states.join(', ')}.${more}`,
      textTable(['code', 'letters', 'faults'], codes),
      textTable(['who', 'letters'], who),
    ].join('\n\n')
  })
}

/** One row for each fault: what is the same for all stands in the first. */
function rowsOf({ id, receivedAt, who, topic, done, faults, faultCount }: DeadLetterAnswer): string[][] {
  const shown = faults.slice(0, SHOWN_FAULTS)
  const rows = shown.map((fault, i) => {
    const letter = i === 0 ? [id, receivedAt, who, topic ?? '', describeDone(done)] : ['', '', '', '', '']
    return [...letter, placeOf(fault), fault.code, fault.detail]
  })
  const more = faultCount - shown.length
  return more === 0 ? rows : [...rows, ['', '', '', '', '', '', `and ${more} more`, '']]
}
