import { Argument } from 'commander'
import type { AclRule, RuleAction } from '../../../shared/registry/port.ts'
import { describeRule } from '../../../shared/acl.ts'
import type { Commands, ExitCode, Session } from '../session.ts'

interface Verdict {
  readonly who: string
  readonly allowed: boolean
  readonly reason: string
  readonly rules: readonly AclRule[]
}

export function addAcl({ program, run }: Commands): void {
  const acl = program.command('acl').description('who may publish and subscribe to what')
  acl
    .command('explain')
    .description('say whether a login may do something, and which rule decides; exit code 1 when it may not')
    .argument('<who>', 'tenant/device, or the name of an application')
    .addArgument(new Argument('<action>', 'what it wants to do').choices(['publish', 'subscribe']))
    .argument('<topic>', 'topic to publish to, or filter to subscribe to')
    .action(run(explain))
}

async function explain(session: Session, who: string, action: RuleAction, topic: string): Promise<ExitCode> {
  const verdict = await session.api.get<Verdict>('/v1/acl/explain', { who, action, topic })
  session.result(verdict, () => {
    const answer = `${verdict.allowed ? 'yes' : 'no'}: ${verdict.reason}`
    const rules = verdict.rules.map((rule) => `  ${describeRule(rule)}`)
    const list = rules.length === 0 ? [`${who} has no ${action} rules.`] : [`Its ${action} rules:`, ...rules]
    return [answer, '', ...list].join('\n')
  })
  return verdict.allowed ? 0 : 1
}
