import { InvalidArgumentError } from 'commander'
import { SluiceError } from '../../../shared/errors.ts'
import { textTable } from '../../../shared/text-table.ts'
import { durationText, parseDuration, parseName } from '../argument-parsers.ts'
import type { Commands, Session } from '../session.ts'

interface RetentionAnswer {
  readonly mostSeconds: number | null
  readonly tenants: readonly { readonly tenant: string; readonly keepSeconds: number }[]
}

export function addRetention({ program, run }: Commands): void {
  const retention = program.command('retention').description('how long readings are kept')
  retention.command('show').description('what is kept of all tenants, and of those that keep less').action(run(show))
  retention
    .command('set')
    .description('set how long readings of a tenant are kept, by their own time')
    .argument('<tenant>', 'the tenant', parseName)
    .argument('<duration>', 'such as 90d or 12h; "default" for as long as all others', parseKept)
    .option('--yes', 'delete what is older, for good')
    .action(run(set))
}

/** In seconds; null as all others. */
function parseKept(text: string): number | null {
  if (text === 'default') return null
  const seconds = parseDuration(text) / 1_000
  if (!Number.isInteger(seconds)) throw new InvalidArgumentError('Write whole seconds or more, such as 90d or 12h.')
  return seconds
}

async function show(session: Session): Promise<void> {
  const answer = await session.api.get<RetentionAnswer>('/v1/retention')
  session.result(answer, () => shown(answer))
}

async function set(
  session: Session,
  tenant: string,
  keep: number | null,
  { yes = false }: { yes?: boolean },
): Promise<void> {
  const now = await session.api.get<RetentionAnswer>('/v1/retention')
  const before = now.tenants.find((one) => one.tenant === tenant)?.keepSeconds ?? now.mostSeconds ?? Infinity
  const after = keep ?? now.mostSeconds ?? Infinity
  if (after < before && !yes) {
    const from = new Date(Date.now() - after * 1_000).toISOString()
    throw new SluiceError(
      'bad_request',
      `readings of ${tenant} from before ${from} would be gone for good: say so with --yes`,
    )
  }
  const answer = await session.api.put<RetentionAnswer>(`/v1/retention/${tenant}`, { keepSeconds: keep })
  session.result(answer, () => shown(answer))
}

function shown({ mostSeconds, tenants }: RetentionAnswer): string {
  const all = `Readings are kept ${mostSeconds === null ? 'for ever' : `for ${durationText(mostSeconds * 1_000)}`}`
  if (tenants.length === 0) return `${all}, of every tenant.`
  const rows = tenants.map(({ tenant, keepSeconds }) => [tenant, durationText(keepSeconds * 1_000)])
  return `${all}, but for\n\n${textTable(['tenant', 'kept'], rows)}`
}
