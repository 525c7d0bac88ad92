import { closeSync } from 'node:fs'
import { Option, type Command } from 'commander'
import { SluiceError } from '../../../shared/errors.ts'
import { jsonLine, type Commands, type ExitCode, type Session } from '../session.ts'
import { openOutput, payloadOf, writeAll, type WholeLetterAnswer } from './letter-show.ts'

interface ExportOptions {
  readonly format: 'jsonl' | 'raw'
  readonly out?: string
  readonly cursor?: string
  /** And which letters. */
  readonly [option: string]: string | undefined
}

interface Page {
  readonly deadLetters: readonly WholeLetterAnswer[]
  readonly next: string | null
}

/** Ids that are remembered, so that a letter which was written again comes once: such ones lie near each other. */
const MAX_KNOWN = 100_000
const LINE_FEED = Buffer.from('\n')

export function addLetterExport(letters: Command, run: Commands['run'], filtered: (command: Command) => Command): void {
  const formats = new Option('--format <format>', 'a letter a line, or only payloads').choices(['jsonl', 'raw'])
  filtered(letters.command('export').description('write whole dead letters, newest first'))
    .addOption(formats.default('jsonl'))
    .option('--out <file>', 'to a file that does not exist yet; with --cursor, behind what it has')
    .option('--cursor <cursor>', 'go on where an export ended, as that said')
    .action(run(exportLetters))
}

/** Page by page: holds one of them. Exit code 1 when it was interrupted. */
async function exportLetters(session: Session, options: ExportOptions): Promise<ExitCode> {
  const { format, out, cursor, ...filter } = options
  if (format === 'raw' && out === undefined) {
    throw new SluiceError('bad_request', 'payloads as they are may steer a terminal: name a file with --out')
  }
  const interruption = session.host.interruption()
  const file = out === undefined ? undefined : openOutput(out, cursor === undefined ? 'wx' : 'a')
  const known = new Set<string>()
  let [next, count]: [string | undefined, number] = [cursor, 0]
  try {
    do {
      const page: Page = await session.api.get<Page>('/v1/dead-letters/export', { ...filter, cursor: next })
      for (const letter of page.deadLetters) {
        if (!isNew(letter.id, known)) continue
        count += 1
        const line = format === 'raw' ? Buffer.concat([payloadOf(letter), LINE_FEED]) : jsonLine(letter)
        if (file === undefined) session.host.stdout(String(line))
        else writeAll(file, Buffer.from(line))
      }
      next = page.next ?? undefined
    } while (next !== undefined && !interruption.aborted)
  } catch (error) {
    if (next !== undefined) session.note(`${count} letters were written; go on with --cursor ${next}`)
    throw error
  } finally {
    if (file !== undefined) closeSync(file)
  }
  const rest = next === undefined ? '' : ` There are more: go on with --cursor ${next}`
  session.note(`${count} ${count === 1 ? 'letter' : 'letters'}${out === undefined ? '' : ` in ${out}`}.${rest}`)
  return next === undefined ? 0 : 1
}

function isNew(id: string, known: Set<string>): boolean {
  if (known.has(id)) return false
  known.add(id)
  const [oldest] = known
  if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
  return true
}
