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
    .description('logins other than devices (dashboards, gateways, bridges), with explicit rules')
  const withRules = (name: string, description: string): Command =>
    applications
      .command(name)
      .description(description)
      .argument('<name>', 'name of the application', parseName)
      .option('--allow <action:filter>', 'allow publish:FILTER or subscribe:FILTER; repeatable', collectRule('allow'))
      .option('--deny <action:filter>', 'deny part of what an allow rule covers; repeatable', collectRule('deny'))
      .option('--create-devices', 'make the devices that it publishes for, at most 100 an hour')
      .option('--no-create-devices', 'refuse its messages for devices that do not exist')
  withRules('add', 'create an application; prints its secret and token, once').action(run(addApplication))
  withRules('rules', 'replace all its rules; connected clients are affected at once').action(run(setRules))
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
  readonly createDevices?: boolean
}

async function setRules(session: Session, name: string, options: RuleOptions): Promise<void> {
  const body = bodyOf(options)
  const { rules } = body
  const answer = await session.api.put(`/v1/applications/${encodeURIComponent(name)}/rules`, body)
  session.result(answer, () => `${name} now has ${rules.length} ${rules.length === 1 ? 'rule' : 'rules'}.`)
}

async function addApplication(session: Session, name: string, options: RuleOptions): Promise<void> {
  const body = { name, ...bodyOf(options) }
  const added = await session.api.post<ApplicationAnswer & NewLogin>('/v1/applications', body)
  session.result(added, () => loginText(`application ${name}`, added))
  if ((options.allow ?? []).length === 0)
    session.note('It has no --allow rule: it can log in, but neither publish nor subscribe.')
}

/** Without a word of devices that stays as it is. */
function bodyOf({ allow = [], deny = [], createDevices }: RuleOptions) {
  return { rules: [...allow, ...deny], ...(createDevices === undefined ? {} : { createsDevices: createDevices }) }
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
