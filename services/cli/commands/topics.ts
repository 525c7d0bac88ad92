import { readFileSync } from 'node:fs'
import { SluiceError } from '../../../shared/errors.ts'
import { printable } from '../../../shared/printable.ts'
import { reasonText } from '../fault-text.ts'
import { verdictLines, type PayloadVerdict } from '../payload-verdict.ts'
import type { Commands, ExitCode, Session } from '../session.ts'

interface TestAnswer extends PayloadVerdict {
  readonly who: string
  readonly end: 'telemetry' | 'messages' | 'refused'
  readonly refusal: { readonly code: string; readonly detail: string } | null
  readonly notes: readonly string[]
}

export function addTopics({ program, run }: Commands): void {
  program
    .command('topics')
    .description('where messages go')
    .command('test')
    .description('what would become of a message: its points, or why not; nothing is written')
    .argument('<topic>', 'the topic')
    .argument('<payload>', 'the payload, or @ and a file that holds it')
    .option('--as <login>', 'tenant/device or an application (default: the device of the topic)')
    .action(run(testTopic))
}

/** Exit code 1 where not all of it would be stored. */
async function testTopic(
  session: Session,
  topic: string,
  payload: string,
  options: { readonly as?: string },
): Promise<ExitCode> {
  const payloadBase64 = payloadBytes(payload).toString('base64')
  const answer = await session.api.post<TestAnswer>('/v1/topics/test', { topic, payloadBase64, as: options.as })
  session.result(answer, () => answerText(answer))
  return answer.end === 'refused' || answer.faultCount > 0 ? 1 : 0
}

/** Of an argument: itself, or the file that it names behind an `@`. Error: `bad_request`. */
export function payloadBytes(argument: string): Buffer {
  if (!argument.startsWith('@')) return Buffer.from(argument)
  try {
    return readFileSync(argument.slice(1))
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new SluiceError('bad_request', `cannot read ${argument.slice(1)}: ${message}`, { cause: error })
  }
}

function answerText({ who, end, refusal, notes, ...verdict }: TestAnswer): string {
  const lines =
    refusal !== null
      ? [`Refused of ${who}: ${reasonText(refusal.code, refusal.detail)}`]
      : end === 'messages'
        ? [`No telemetry: what ${who} publishes there goes to subscribers, and is not stored.`]
        : [`Telemetry of ${who}:`, ...verdictLines(verdict)]
  return [...lines, ...notes].map(printable).join('\n')
}
