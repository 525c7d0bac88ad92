import type { Command } from 'commander'
import { Argument } from 'commander'
import { printable } from '../../../shared/printable.ts'
import { textTable } from '../../../shared/text-table.ts'
import { DEFAULT_STREAM } from '../../../shared/topics.ts'
import { parseName } from '../argument-parsers.ts'
import type { Commands, Session } from '../session.ts'

interface TypeAnswer {
  readonly tenant: string
  readonly stream: string
  readonly field: string
  readonly type: string
  readonly since: string | null
  readonly who: string
}

interface Place {
  readonly stream: string
}

export function addTypes({ program, run }: Commands): void {
  const types = program.command('types').description('which fields have whole numbers of 64 bits, exactly')
  const of = (command: Command): Command =>
    command
      .argument('<tenant>', 'the tenant', parseName)
      .argument('<field>', 'the field, as readings name it')
      .option('--stream <name>', 'the stream', DEFAULT_STREAM)
  types
    .command('list')
    .description('fields whose type was declared')
    .option('--tenant <name>', 'of this tenant alone', parseName)
    .action(run(listTypes))
  of(types.command('set').description('declare what the numbers of a field are'))
    .addArgument(new Argument('<type>', 'the type').choices(['integer', 'float']))
    .action(run(setType))
  of(types.command('forget').description('take a declaration back: numbers are floats again')).action(run(forgetType))
}

async function listTypes(session: Session, { tenant }: { tenant?: string }): Promise<void> {
  const answer = await session.api.get<{ types: readonly TypeAnswer[] }>('/v1/types', { tenant })
  session.result(answer, () => {
    if (answer.types.length === 0) return 'No type was declared: all numbers are floats.'
    const rows = answer.types.map((one) => [one.tenant, one.stream, one.field, one.type, one.since ?? '', one.who])
    return textTable(['tenant', 'stream', 'field', 'type', 'since', 'by'], rows)
  })
}

async function setType(session: Session, tenant: string, field: string, type: string, place: Place): Promise<void> {
  const answer = await session.api.put<TypeAnswer>('/v1/types', { tenant, field, type, ...place })
  session.result(answer, () => {
    const { stream, since } = answer
    const what = type === 'integer' ? 'integers, and others floats beside them' : 'floats'
    return printable(`Numbers of ${field} in ${stream} of ${tenant} are ${what}, in messages from ${since ?? ''} on.`)
  })
}

function forgetType(session: Session, tenant: string, field: string, place: Place): Promise<void> {
  return setType(session, tenant, field, 'float', place)
}
