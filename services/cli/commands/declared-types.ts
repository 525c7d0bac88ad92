import { Argument, InvalidArgumentError, Option, type Command } from 'commander'
import { SluiceError } from '../../../shared/errors.ts'
import { printable } from '../../../shared/printable.ts'
import { textTable } from '../../../shared/text-table.ts'
import { DEFAULT_STREAM } from '../../../shared/topics.ts'
import {
  MEANING_NAMES,
  type FieldMeaning,
  type MeaningChange,
  type MeaningName,
} from '../../../shared/types/meaning.ts'
import { parseName } from '../argument-parsers.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import { followJob, type JobAnswer } from './jobs.ts'

interface TypeAnswer extends FieldMeaning {
  readonly tenant: string
  readonly stream: string
  readonly field: string
  readonly type: 'integer' | 'float'
  readonly since: string | null
  readonly who: string
  readonly files: Readonly<Record<string, string>>
}

interface Place {
  readonly stream: string
}

type SetOptions = Place & Omit<FieldMeaning, 'type'> & Rewriting

interface Rewriting {
  readonly rewrite?: boolean
  readonly dryRun?: boolean
  readonly detach?: boolean
}

export function addTypes({ program, run }: Commands): void {
  const types = program
    .command('types')
    .description('what fields mean: type, unit, name, range, and how often they come')
  const of = (command: Command): Command =>
    command
      .argument('<tenant>', 'the tenant', parseName)
      .argument('<field>', 'the field, as readings name it')
      .option('--stream <name>', 'the stream', DEFAULT_STREAM)
  types
    .command('list')
    .description('what was declared')
    .option('--tenant <name>', 'of this tenant alone', parseName)
    .action(run(listTypes))
  of(types.command('set').description('declare what a field means; what is not named stays as it is'))
    .addArgument(new Argument('[type]', 'what its numbers are').choices(['integer', 'float']))
    .option('--unit <unit>', 'its unit, such as °C')
    .option('--name <name>', 'what people call it')
    .option('--min <number>', 'the least number', parseNumber)
    .option('--max <number>', 'the greatest number', parseNumber)
    .addOption(
      new Option(
        '--outside <what>',
        'what becomes of numbers below or above: not stored, or stored with a note',
      ).choices(['fault', 'mark']),
    )
    .option('--required', 'every reading of the stream has it')
    .option('--no-required', 'readings may lack it')
    .option('--interval <seconds>', 'from one reading with it to the next', parseNumber)
    .option('--rewrite', 'store the numbers that its stored texts are, too, when all of them are numbers')
    .option('--dry-run', 'with --rewrite: only count them')
    .option('--detach', 'with --rewrite: do not wait for the job')
    .action(run(setType))
  of(types.command('forget').description('take back what was declared of a field'))
    .addArgument(new Argument('[what...]', 'what of it; everything by default').choices(MEANING_NAMES))
    .action(run(forgetType))
}

function parseNumber(text: string): number {
  const number = Number(text)
  if (text.trim() !== '' && Number.isFinite(number)) return number
  throw new InvalidArgumentError('Not a number.')
}

async function listTypes(session: Session, { tenant }: { tenant?: string }): Promise<void> {
  const answer = await session.api.get<{ types: readonly TypeAnswer[]; contractsRefused: string | null }>('/v1/types', {
    tenant,
  })
  if (answer.contractsRefused !== null) {
    session.note(printable(`Contracts in files are not in force, those before are: ${answer.contractsRefused}`))
  }
  session.result(answer, () => {
    if (answer.types.length === 0) return 'Nothing was declared: all numbers are floats.'
    const rows = answer.types.map((one) => [
      ...[one.tenant, one.stream, one.field, one.type, one.unit ?? '', one.name ?? '', rangeOf(one)],
      ...[one.required === true ? 'yes' : '', one.interval === undefined ? '' : `${one.interval} s`],
      ...[one.since ?? '', setterOf(one)],
    ])
    const head = ['tenant', 'stream', 'field', 'type', 'unit', 'name', 'range', 'required', 'interval', 'since', 'by']
    return textTable(head, rows)
  })
}

function rangeOf({ min, max, outside = 'mark' }: FieldMeaning): string {
  return min === undefined && max === undefined ? '' : `${min ?? ''}..${max ?? ''} ${outside}`
}

function setterOf({ who, files }: TypeAnswer): string {
  const [place] = Object.values(files)
  return place ?? who
}

async function setType(
  session: Session,
  tenant: string,
  field: string,
  type: 'integer' | 'float' | undefined,
  { stream, rewrite = false, dryRun = false, detach = false, ...said }: SetOptions,
): Promise<ExitCode | void> {
  const change: MeaningChange = { ...(type === undefined ? {} : { type }), ...said }
  if (rewrite) {
    if (type === undefined || Object.keys(said).length > 0) {
      throw new SluiceError('bad_request', 'with --rewrite name a type, and nothing else')
    }
    const job = await session.api.post<JobAnswer>('/v1/types/rewrite', { tenant, stream, field, type, dryRun })
    if (!detach) return followJob(session, job)
    return session.result(job, () => `Job ${job.id} was made.`)
  }
  if (dryRun || detach) throw new SluiceError('bad_request', '--dry-run and --detach go with --rewrite')
  if (Object.keys(change).length === 0)
    throw new SluiceError('bad_request', 'say what to declare: a type, or an option')
  await declare(session, { tenant, stream, field }, change)
}

function forgetType(
  session: Session,
  tenant: string,
  field: string,
  what: readonly MeaningName[],
  { stream }: Place,
): Promise<void> {
  const names = what.length === 0 ? MEANING_NAMES : what
  return declare(session, { tenant, stream, field }, Object.fromEntries(names.map((name) => [name, null])))
}

async function declare(
  session: Session,
  field: { readonly tenant: string; readonly stream: string; readonly field: string },
  change: MeaningChange,
): Promise<void> {
  const answer = await session.api.put<TypeAnswer>('/v1/types', { ...field, ...change })
  session.result(answer, () => {
    const what = answer.type === 'integer' ? 'integers, and others floats beside them' : 'floats'
    const said = MEANING_NAMES.filter((name) => name !== 'type' && answer[name] !== undefined)
    const rest = said.map((name) => `${name} ${String(answer[name])}`).join(', ')
    const line = `Numbers of ${answer.field} in ${answer.stream} of ${answer.tenant} are ${what}, in messages from ${answer.since ?? ''} on.`
    return printable(rest === '' ? line : `${line} Declared: ${rest}.`)
  })
}
