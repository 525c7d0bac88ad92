import { wholeNumber } from '../argument-parsers.ts'
import { collectPages } from '../pages.ts'
import type { Commands, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'

interface EntryAnswer {
  readonly at: string
  readonly who: string
  readonly action: string
  readonly subject: string
  readonly detail: string | null
}

export function addAudit({ program, run }: Commands): void {
  program
    .command('audit')
    .description('who changed what, newest first')
    .option('--limit <count>', 'maximum number to list', wholeNumber(1, 100_000), 50)
    .action(run(showAudit))
}

async function showAudit(session: Session, { limit }: { limit: number }): Promise<void> {
  const { items, more } = await collectPages(limit, async (before, size) => {
    const query = { before, limit: size }
    const page = await session.api.get<{ entries: EntryAnswer[]; next: number | null }>('/v1/audit', query)
    return { items: page.entries, next: page.next === null ? null : String(page.next) }
  })
  session.result({ entries: items, more }, () => {
    if (items.length === 0) return 'No changes yet.'
    const rows = items.map((it) => [it.at, it.who, it.action, [it.subject, it.detail ?? ''].join(' ').trim()])
    return textTable(['at', 'who', 'action', 'what'], rows)
  })
}
