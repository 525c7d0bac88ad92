import { textTable } from '../../../shared/text-table.ts'
import { wholeNumber } from '../argument-parsers.ts'
import type { AppliedTopics, RepartitionStep } from '../log/main.ts'
import type { Commands, ExitCode, Session } from '../session.ts'

export function addLog({ program, run }: Commands): void {
  const log = program.command('log').description("the topics of a cluster's log in Kafka")
  log
    .command('apply')
    .description('give the topics the settings that Sluice makes them with, as far as they differ')
    .action(run(apply))
  log
    .command('repartition')
    .description('take in partitions that were added to the topic of telemetry, while everything runs')
    .option(
      '--to <n>',
      'partitions from then on, a multiple of those before; all of the topic when not given',
      parsePartitions,
    )
    .option('--without <process>', 'a process that has ended for good and is not waited for; repeatable', addName, [])
    .action(run(repartition))
}

async function apply(session: Session): Promise<ExitCode> {
  const { runApply } = await import('../log/main.ts')
  const topics = await runApply(session.host.env)
  session.result({ topics }, () => textOf(topics))
  return topics.every(({ durability }) => durability.ok) ? 0 : 1
}

const STATES = {
  asked: 'asked: waiting until every process has heard of it',
  pausing: 'pausing: waiting until nothing is being appended',
  switched: 'switched: new records go to all partitions, and are stored when those from before are',
} as const

interface RepartitionOptions {
  readonly to?: number
  readonly without: readonly string[]
}

async function repartition(session: Session, wish: RepartitionOptions): Promise<ExitCode> {
  const { runRepartition } = await import('../log/main.ts')
  const signal = session.host.interruption()
  const onState = ({ state }: RepartitionStep): void => {
    if (state !== 'settled') session.note(STATES[state])
  }
  const { state, from, to } = await runRepartition(session.host.env, wish, { onState, signal })
  session.result({ state, from, to }, () => {
    if (state !== 'settled') return 'It goes on without this command.'
    return from === to ? `The log has ${to} partitions already.` : `The log has ${to} partitions instead of ${from}.`
  })
  return 0
}

const parsePartitions = wholeNumber(1, 10_000)

function addName(name: string, names: readonly string[]): readonly string[] {
  return [...names, name]
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
