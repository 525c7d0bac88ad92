import { textTable } from '../../../shared/text-table.ts'
import type { AppliedTopics } from '../log/main.ts'
import type { Commands, ExitCode, Session } from '../session.ts'

export function addLog({ program, run }: Commands): void {
  const log = program.command('log').description("the topics of a cluster's log in Kafka")
  log
    .command('apply')
    .description('give the topics the settings that Sluice makes them with, as far as they differ')
    .action(run(apply))
}

async function apply(session: Session): Promise<ExitCode> {
  const { runApply } = await import('../log/main.ts')
  const topics = await runApply(session.host.env)
  session.result({ topics }, () => textOf(topics))
  return topics.every(({ durability }) => durability.ok) ? 0 : 1
}

function textOf(topics: AppliedTopics): string {
  const rows = topics.flatMap(({ topic, changes }) =>
    changes.map(({ setting, from, to }) => [topic, setting, from, to]),
  )
  const done =
    rows.length === 0 ? 'The topics are as they should be.' : textTable(['topic', 'setting', 'was', 'is'], rows)
  const wrong = topics.filter(({ durability }) => !durability.ok).map(({ durability }) => durability.detail)
  return [done, ...wrong.map((detail) => `Not mended by a setting: ${detail}`)].join('\n')
}
