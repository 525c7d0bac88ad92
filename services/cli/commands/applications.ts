import type { Command } from 'commander'
import type { AclRule } from '../../../shared/registry/port.ts'
import { collectRule, parseName } from '../argument-parsers.ts'
import type { Commands, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'
import { loginText, type NewLogin } from './login-text.ts'
import { addLoginCommands } from './logins.ts'

interface ApplicationAnswer {
  readonly name: string
  readonly rules: readonly AclRule[]
  readonly createdAt: string | null
}

export function addApplications({ program, run }: Commands): void {
  const applications = program
    .command('applications')
    .description('logins that are no devices (dashboards, gateways, bridges), with explicit rules')
  const withRules = (name: string, description: string): Command =>
    applications
      .command(name)
      .description(description)
      .argument('<name>', 'name of the application', parseName)
      .option(
        '--allow <action:filter>',
        'allow publish:FILTER or subscribe:FILTER; may be repeated',
        collectRule('allow'),
      )
      .option('--deny <action:filter>', 'deny what an allow covers; may be repeated', collectRule('deny'))
  withRules('add', 'make an application; prints its secret and token, once').action(run(addApplication))
  withRules('rules', 'put these rules in the place of those it has; connected clients get them too').action(
    run(setRules),
  )
  applications.command('list').description('list applications and their rules').action(run(listApplications))
  applications
    .command('remove')
    .description('remove an application and its login')
    .argument('<name>', 'name of the application', parseName)
    .action(run(removeApplication))
  addLoginCommands(
    applications,
    { run },
    {
      what: 'application',
      argument: '<name>',
      parse: parseName,
      nameOf: (name) => name,
      pathOf: (name) => `/v1/applications/${encodeURIComponent(name)}`,
    },
  )
}

interface RuleOptions {
  readonly allow?: AclRule[]
  readonly deny?: AclRule[]
}

async function setRules(session: Session, name: string, { allow = [], deny = [] }: RuleOptions): Promise<void> {
  const rules = [...allow, ...deny]
  const answer = await session.api.put(`/v1/applications/${encodeURIComponent(name)}/rules`, { rules })
  session.result(answer, () => `${name} has ${rules.length} ${rules.length === 1 ? 'rule' : 'rules'} now.`)
}

async function addApplication(session: Session, name: string, { allow = [], deny = [] }: RuleOptions): Promise<void> {
  const rules = [...allow, ...deny]
  const added = await session.api.post<ApplicationAnswer & NewLogin>('/v1/applications', { name, rules })
  session.result(added, () => loginText(`application ${name}`, added))
  if (allow.length === 0) session.note('It has no --allow rule, so it may log in and do nothing.')
}

async function listApplications(session: Session): Promise<void> {
  const answer = await session.api.get<{ applications: ApplicationAnswer[] }>('/v1/applications')
  session.result(answer, () => {
    if (answer.applications.length === 0) return 'No applications.'
    const rows = answer.applications.flatMap(({ name, rules }) =>
      rules.length === 0
        ? [[name, '(no rules)']]
        : rules.map((rule, index) => [index === 0 ? name : '', `${rule.effect} ${rule.action} ${rule.topic}`]),
    )
    return textTable(['application', 'rules'], rows)
  })
}

async function removeApplication(session: Session, name: string): Promise<void> {
  await session.api.delete(`/v1/applications/${encodeURIComponent(name)}`)
  session.result({ removed: name }, () => `Removed ${name}.`)
}
