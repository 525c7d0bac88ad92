import { Argument } from 'commander'
import type { AclRule, RuleAction } from '../../../shared/registry/port.ts'
import { describeRule } from '../../../shared/acl.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import { printable } from '../../../shared/printable.ts'

interface Verdict {
  readonly who: string
  readonly allowed: boolean
  readonly reason: string
  readonly rules: readonly AclRule[]
}

export function addAcl({ program, run }: Commands): void {
  const acl = program.command('acl').description('who may publish or subscribe to what')
  acl
    .command('explain')
    .description('tell whether a login may do something, and which rule decides; exit code 1 if it may not')
    .argument('<who>', 'tenant/device, or an application name')
    .addArgument(new Argument('<action>', 'action to check').choices(['publish', 'subscribe']))
    .argument('<topic>', 'topic to publish to, or topic filter to subscribe to')
    .action(run(explain))
}

async function explain(session: Session, who: string, action: RuleAction, topic: string): Promise<ExitCode> {
  const verdict = await session.api.get<Verdict>('/v1/acl/explain', { who, action, topic })
  session.result(verdict, () => {
    const answer = `${verdict.allowed ? 'yes' : 'no'}: ${verdict.reason}`
    const rules = verdict.rules.map((rule) => `  ${describeRule(rule)}`)
    const list = rules.length === 0 ? [`${who} has no ${action} rules.`] : [`Its ${action} rules:`, ...rules]
    return [answer, '', ...list].map(printable).join('\n')
  })
  return verdict.allowed ? 0 : 1
}
