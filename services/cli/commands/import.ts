import { describeRule } from '../../../shared/acl.ts'
import { planImport, type ImportedLogin, type ImportPlan } from '../mosquitto/import-plan.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'
import { printable } from '../../../shared/printable.ts'

interface Outcome {
  readonly username: string
  readonly name: string
  readonly imported: boolean
  readonly code: string | null
  readonly detail: string | null
}

/** Logins per request; each is made with a few statements. */
const PER_REQUEST = 50

export function addImport({ program, run }: Commands): void {
  const imports = program.command('import').description('import logins and rules from another broker')
  imports
    .command('mosquitto')
    .description('import the logins and rules of a Mosquitto broker; its clients keep their passwords')
    .argument('<mosquitto.conf>', 'its configuration file; files that it names are read, too')
    .option('--dry-run', 'show what would be imported and what cannot be, without importing anything')
    .action(run(importMosquitto))
}

async function importMosquitto(session: Session, file: string, options: { dryRun?: true }): Promise<ExitCode> {
  const plan = planImport(file)
  for (const note of plan.notes) session.note(`not imported: ${note}`)
  if (options.dryRun === true) {
    session.result(shownPlan(plan), () => planText(plan))
    return 0
  }
  const outcomes: Outcome[] = []
  for (let from = 0; from < plan.logins.length; from += PER_REQUEST) {
    const logins = plan.logins.slice(from, from + PER_REQUEST)
    const answer = await session.api.post<{ logins: Outcome[] }>('/v1/imports/logins', { logins })
    outcomes.push(...answer.logins)
  }
  const failed = outcomes.filter(({ imported }) => !imported)
  session.result({ logins: outcomes, notCarriedOver: plan.notes }, () => {
    const lines = failed.map(({ username, code, detail }) => printable(`  ${username}: ${code}: ${detail}`))
    return [`Imported ${outcomes.length - failed.length} of ${outcomes.length} logins.`, ...lines].join('\n')
  })
  return failed.length === 0 ? 0 : 1
}

/** Without the hashes, which are nobody's business. */
function shownPlan({ logins, notes }: ImportPlan) {
  return { logins: logins.map(({ passwordHash: _, ...login }) => login), notCarriedOver: notes }
}

function planText({ logins }: ImportPlan): string {
  if (logins.length === 0) return 'There is no login to import.'
  const rows = logins.flatMap((login) => {
    const rules = rulesText(login)
    return rules.map((rule, index) =>
      index === 0 ? [login.username, login.kind, login.name, rule] : ['', '', '', rule],
    )
  })
  return textTable(['username', 'becomes', 'named', 'rules'], rows)
}

function rulesText({ kind, rules }: ImportedLogin): string[] {
  if (kind === 'device') return ['those of a device']
  return rules.length === 0 ? ['(none)'] : rules.map(describeRule)
}
