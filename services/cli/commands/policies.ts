import { InvalidArgumentError, type Command } from 'commander'
import { SluiceError } from '../../../shared/errors.ts'
import type { PolicyDocument } from '../../../shared/policies/document.ts'
import { isSettingName, SETTING_NAMES, SETTINGS, type SettingName } from '../../../shared/policies/settings.ts'
import { textTable } from '../../../shared/text-table.ts'
import { parseName, wholeNumber } from '../argument-parsers.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import { countReread, rereadTimes, type RereadOptions } from './reread.ts'
import { printable } from '../../../shared/printable.ts'

interface RevisionAnswer {
  readonly tenant: string | null
  readonly revision: number
  readonly at: string | null
  readonly who: string | null
  readonly document: PolicyDocument
}

interface PolicyAnswer extends RevisionAnswer {
  readonly settings: readonly SettingAnswer[]
}

interface SettingAnswer {
  readonly name: string
  readonly value: unknown
  readonly from: string
  readonly file?: string | null
  readonly who?: string | null
}

interface Place {
  readonly tenant?: string
  readonly stream?: string
}

/** Whoever changes them at the same moment is done after this many attempts. */
const ATTEMPTS = 5

export function addPolicies({ program, run }: Commands): void {
  const policies = program
    .command('policies')
    .description('what becomes of payloads where more than one answer is right')
  const at = (command: Command): Command =>
    command
      .option('--tenant <name>', 'of this tenant; without it the default of all tenants', parseName)
      .option('--stream <name>', 'of this stream of the tenant alone')
  policies.command('list').description('everything that is set').action(run(listPolicies))
  at(policies.command('show').description('the settings in force, and where each was set')).action(run(showPolicies))
  at(policies.command('set').description('change settings; the others stay as they are'))
    .argument('<setting=value...>', `what to set: ${SETTING_NAMES.join(', ')}`, collectAssignment)
    .option('--reread', 'with time_zone: read the local times that are still in the log by it, too')
    .option('--dry-run', 'with --reread: set nothing, and count what would be moved')
    .option('--detach', 'with --reread: do not wait for the job')
    .action(run(setPolicies))
  at(policies.command('unset').description('take settings back: the next wider place decides again'))
    .argument('<setting...>', 'what to take back', collectName)
    .action(run(unsetPolicies))
  policies
    .command('history')
    .description('all that they ever were, newest first')
    .option('--tenant <name>', 'of this tenant; without it the default of all tenants', parseName)
    .option('--limit <count>', 'maximum number to list', wholeNumber(1, 1000), 20)
    .action(run(showHistory))
}

export type Assignment = readonly [name: SettingName, value: unknown]

export function collectAssignment(text: string, before: readonly Assignment[] = []): readonly Assignment[] {
  const [, name = text, value = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? []
  const { takes, isList } = SETTINGS[settingNamed(name)]
  if (value === '') throw new InvalidArgumentError(`Write ${name}=VALUE; it takes ${takes}.`)
  return [...before, [settingNamed(name), isList === true ? value.split(',') : value]]
}

function collectName(text: string, before: readonly Assignment[] = []): readonly Assignment[] {
  return [...before, [settingNamed(text), undefined]]
}

function settingNamed(name: string): SettingName {
  if (isSettingName(name)) return name
  throw new InvalidArgumentError(`There is no setting "${name}"; there are ${SETTING_NAMES.join(', ')}.`)
}

async function showPolicies(session: Session, { tenant, stream }: Place): Promise<void> {
  const answer = await session.api.get<PolicyAnswer>('/v1/policies', { tenant, stream })
  session.result(answer, () => {
    const rows = answer.settings.map(({ name, value, from, file, who }) => [
      name,
      shown(value),
      from,
      file ?? who ?? '',
    ])
    return `${nameOf(answer.tenant, stream)}, revision ${answer.revision}\n\n${textTable(['setting', 'value', 'from', 'set by'], rows)}`
  })
}

async function listPolicies(session: Session): Promise<void> {
  const answer = await session.api.get<{ policies: RevisionAnswer[] }>('/v1/policies/list')
  session.result(answer, () => {
    const rows = answer.policies.flatMap(rowsOf)
    return rows.length === 0 ? 'Nothing is set.' : textTable(['for', 'revision', 'setting', 'value'], rows)
  })
}

function rowsOf({ tenant, revision, document }: RevisionAnswer): string[][] {
  const { streams = {}, ...own } = document
  const places = [
    [nameOf(tenant), own] as const,
    ...Object.entries(streams).map(([stream, one]) => [nameOf(tenant, stream), one] as const),
  ]
  return places.flatMap(([name, settings]) =>
    Object.entries(settings).map(([setting, value]) => [name, String(revision), setting, shown(value)]),
  )
}

async function setPolicies(
  session: Session,
  assignments: readonly Assignment[],
  { reread = false, dryRun = false, detach = false, ...place }: Place & RereadOptions,
): Promise<ExitCode | void> {
  const zone = assignments.find(([name]) => name === 'time_zone')?.[1]
  if (!reread) {
    if (dryRun || detach) throw new SluiceError('bad_request', '--dry-run and --detach need --reread')
    return tell(session, await change(session, place, assignments))
  }
  const { tenant, stream } = place
  const isZone = typeof zone === 'string' && zone !== 'none'
  const setsDevices = !dryRun && assignments.some(([name]) => name === 'device_zones')
  if (tenant === undefined || (!isZone && !setsDevices)) {
    throw new SluiceError(
      'bad_request',
      '--reread needs --tenant and time_zone=ZONE, or without --dry-run device_zones',
    )
  }
  const asked = { tenant, ...(isZone ? { zone } : {}), ...(stream === undefined ? {} : { stream }) }
  if (dryRun) return countReread(session, asked)
  session.note(describe(await change(session, place, assignments)))
  return rereadTimes(session, asked, detach)
}

async function unsetPolicies(session: Session, names: readonly Assignment[], place: Place): Promise<void> {
  tell(session, await change(session, place, names))
}

/** What others change meanwhile stays. */
async function change(session: Session, place: Place, assignments: readonly Assignment[]): Promise<RevisionAnswer> {
  const { tenant, stream } = place
  if (stream !== undefined && tenant === undefined) throw new SluiceError('bad_request', '--stream needs --tenant')
  const path = tenant === undefined ? '/v1/policies' : `/v1/policies?tenant=${encodeURIComponent(tenant)}`
  for (let attempt = 1; ; attempt += 1) {
    const { revision, document } = await session.api.get<RevisionAnswer>('/v1/policies', { tenant })
    try {
      const body = { revision, document: changed(document, stream, assignments) }
      return await session.api.put<RevisionAnswer>(path, body)
    } catch (error) {
      const isLate = error instanceof SluiceError && error.code === 'policy_changed'
      if (!isLate || attempt === ATTEMPTS) throw error
    }
  }
}

function tell(session: Session, answer: RevisionAnswer): void {
  session.result(answer, () => describe(answer))
}

function describe({ tenant, revision }: RevisionAnswer): string {
  return `${nameOf(tenant)} now has revision ${revision}. It holds for messages that come from now on.`
}

function changed(document: PolicyDocument, stream: string | undefined, assignments: readonly Assignment[]): unknown {
  const given = Object.fromEntries(assignments) // undefined takes it out, in JSON
  if (stream === undefined) return { ...document, ...given }
  const { streams = {} } = document
  const others = Object.entries(streams).filter(([name]) => name !== stream)
  const own = Object.hasOwn(streams, stream) ? streams[stream] : {}
  return { ...document, streams: Object.fromEntries([...others, [stream, { ...own, ...given }]]) }
}

async function showHistory(session: Session, { tenant, limit }: Place & { limit: number }): Promise<void> {
  const answer = await session.api.get<{ revisions: RevisionAnswer[] }>('/v1/policies/history', { tenant, limit })
  session.result(answer, () => {
    if (answer.revisions.length === 0) return 'Nothing was ever set.'
    const rows = answer.revisions.map((one) => [
      String(one.revision),
      one.at ?? '',
      one.who ?? '',
      JSON.stringify(one.document),
    ])
    return textTable(['revision', 'at', 'who', 'document'], rows)
  })
}

function nameOf(tenant: string | null, stream?: string): string {
  if (tenant === null) return 'The default of all tenants'
  return printable(stream === undefined ? `Tenant ${tenant}` : `Stream ${stream} of ${tenant}`)
}

function shown(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value)
}
