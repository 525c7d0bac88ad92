import { parseName, wholeNumber } from '../argument-parsers.ts'
import { collectPages } from '../pages.ts'
import type { Commands, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'

interface DeadLetterAnswer {
  readonly stage: string
  readonly code: string
  readonly detail: string
  readonly fix: string
  readonly who: string
  readonly topic: string | null
  readonly receivedAt: string
}

interface ListOptions {
  readonly tenant?: string
  readonly code?: string
  readonly limit: number
}

export function addDeadLetters({ program, run }: Commands): void {
  program
    .command('dead-letters')
    .description('readings that could not be stored, and clients and messages that were refused')
    .command('list')
    .description('list dead letters, newest first')
    .option('--tenant <name>', 'only this tenant', parseName)
    .option('--code <code>', 'only this error code')
    .option('--limit <count>', 'maximum number to list', wholeNumber(1, 100_000), 20)
    .action(run(listDeadLetters))
}

async function listDeadLetters(session: Session, { tenant, code, limit }: ListOptions): Promise<void> {
  const { items, more } = await collectPages(limit, async (cursor, size) => {
    const query = { tenant, code, cursor, limit: size }
    const page = await session.api.get<{ deadLetters: DeadLetterAnswer[]; next: string | null }>(
      '/v1/dead-letters',
      query,
    )
    return { items: page.deadLetters, next: page.next }
  })
  session.result({ deadLetters: items, more }, () => {
    if (items.length === 0) return 'No dead letters.'
    const rows = items.map((it) => [it.receivedAt, it.code, it.who, it.topic ?? '', it.detail])
    const fixes = [...new Map(items.map((it) => [it.code, it.fix]))].map(([name, fix]) => `  ${name}: ${fix}`)
    return [textTable(['received', 'code', 'who', 'topic', 'detail'], rows), '', 'What to do:', ...fixes].join('\n')
  })
}
