import { collectTag, parseDuration, parseName, wholeNumber } from '../argument-parsers.ts'
import type { Commands, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'

interface ClaimKeyAnswer {
  readonly id: string
  readonly tenant: string
  readonly maxUses: number
  readonly uses: number
  readonly createdAt: string
  readonly expiresAt: string | null
}

interface NewKeyOptions {
  readonly uses: number
  readonly expires?: number
  readonly tag?: Record<string, string>
}

export function addClaimKeys({ program, run }: Commands): void {
  const keys = program
    .command('claim-keys')
    .description('keys with which devices make themselves known: each presents one and gets its own credentials')
  keys
    .command('add')
    .description('make a key for devices of one tenant; prints it, once')
    .argument('<tenant>', 'tenant of the devices', parseName)
    .option('--uses <count>', 'devices that it may make', wholeNumber(1, 1_000_000), 1)
    .option(
      '--expires <duration>',
      'how long it may be used, for example 30d (default: until it is revoked)',
      parseDuration,
    )
    .option('--tag <key=value>', 'tag of the devices; may be repeated', collectTag)
    .action(run(addKey))
  keys.command('list').description('list the keys and how often they were used').action(run(listKeys))
  keys
    .command('revoke')
    .description('end a key; the devices that it made stay')
    .argument('<id>', 'id of the key, as list shows it')
    .action(run(revokeKey))
}

async function addKey(session: Session, tenant: string, { uses, expires, tag: tags }: NewKeyOptions): Promise<void> {
  const made = await session.api.post<ClaimKeyAnswer & { key: string }>('/v1/claim-keys', {
    tenant,
    maxUses: uses,
    ...(expires === undefined ? {} : { expiresSeconds: Math.max(1, Math.round(expires / 1000)) }),
    ...(tags === undefined ? {} : { tags }),
  })
  session.result(made, () =>
    [
      `Made a provisioning key for ${uses} ${uses === 1 ? 'device' : 'devices'} of ${tenant}. It is shown only now:`,
      '',
      `  key  ${made.key}`,
      `  id   ${made.id}`,
      ...(made.expiresAt === null ? [] : [`  ends ${made.expiresAt}`]),
      '',
      `A device trades it for its credentials: POST ${session.url}/v1/claims {"key":"...","device":"<its name>"}`,
    ].join('\n'),
  )
}

async function listKeys(session: Session): Promise<void> {
  const answer = await session.api.get<{ claimKeys: ClaimKeyAnswer[] }>('/v1/claim-keys')
  session.result(answer, () => {
    if (answer.claimKeys.length === 0) return 'No provisioning keys. Make one: ./sluice claim-keys add demo --uses 10'
    const rows = answer.claimKeys.map((it) => [it.id, it.tenant, `${it.uses}/${it.maxUses}`, it.expiresAt ?? 'never'])
    return textTable(['id', 'tenant', 'used', 'ends'], rows)
  })
}

async function revokeKey(session: Session, id: string): Promise<void> {
  await session.api.delete(`/v1/claim-keys/${encodeURIComponent(id)}`)
  session.result({ revoked: id }, () => `Revoked ${id}; the devices that it made stay.`)
}
