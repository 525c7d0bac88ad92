import { printable } from '../../../shared/printable.ts'
import { textTable } from '../../../shared/text-table.ts'
import { verdictLines, type PayloadVerdict } from '../payload-verdict.ts'
import { parseName } from '../argument-parsers.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import { collectAssignment, type Assignment } from './policies.ts'
import { payloadBytes } from './topics.ts'
import { addUploadedDecoders } from './uploaded-decoders.ts'

interface TestOptions {
  readonly stream?: string
  readonly tenant?: string
  readonly policy?: readonly Assignment[]
}

export function addDecoders({ program, run }: Commands): void {
  const decoders = program.command('decoders').description('what payloads may be read as')
  decoders.command('list').description('all of them, and what each reads').action(run(listDecoders))
  decoders
    .command('test')
    .description('what a payload becomes by a decoder: its points, or why not; nothing is written')
    .argument('<decoder>', 'which one')
    .argument('<payload>', 'the payload, or @ and a file that holds it')
    .option('--policy <setting=value...>', 'other settings of a policy', collectAssignment)
    .option('--stream <name>', 'the stream that it is sent to')
    .option('--tenant <name>', 'whose uploaded decoders count, beside those of all tenants', parseName)
    .action(run(testDecoder))
  addUploadedDecoders(decoders, run)
}

async function listDecoders(session: Session): Promise<void> {
  const answer = await session.api.get<{ decoders: { name: string; reads: string }[] }>('/v1/decoders')
  session.result(answer, () =>
    textTable(
      ['decoder', 'reads'],
      answer.decoders.map(({ name, reads }) => [name, reads]),
    ),
  )
}

/** Exit code 1 where not all of it would be stored. */
async function testDecoder(
  session: Session,
  decoder: string,
  payload: string,
  { policy = [], stream, tenant }: TestOptions,
): Promise<ExitCode> {
  const payloadBase64 = payloadBytes(payload).toString('base64')
  const body = { decoder, payloadBase64, stream, tenant, settings: Object.fromEntries(policy) }
  const answer = await session.api.post<PayloadVerdict>('/v1/decoders/test', body)
  session.result(answer, () => verdictLines(answer).map(printable).join('\n'))
  return answer.faultCount > 0 ? 1 : 0
}
