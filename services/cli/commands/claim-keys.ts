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
    .description('provisioning keys: a device presents one and receives its own credentials')
  keys
    .command('add')
    .description('create a key for devices of one tenant; prints it, once')
    .argument('<tenant>', 'tenant of the devices', parseName)
    .option('--uses <count>', 'number of devices that may use it', wholeNumber(1, 1_000_000), 1)
    .option('--expires <duration>', 'validity, for example 30d (default: until it is revoked)', parseDuration)
    .option('--tag <key=value>', 'tag of the devices; repeatable', collectTag)
    .action(run(addKey))
  keys.command('list').description('list keys and how often they were used').action(run(listKeys))
  keys
    .command('revoke')
    .description('revoke a key; devices that used it stay')
    .argument('<id>', 'id of the key, as in the list')
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
      `Created a provisioning key for ${uses} ${uses === 1 ? 'device' : 'devices'} of ${tenant}. It is not shown again:`,
      '',
      `  key  ${made.key}`,
      `  id   ${made.id}`,
      ...(made.expiresAt === null ? [] : [`  ends ${made.expiresAt}`]),
      '',
      `A device exchanges it for credentials: POST ${session.url}/v1/claims {"key":"...","device":"<its name>"}`,
    ].join('\n'),
  )
}

async function listKeys(session: Session): Promise<void> {
  const answer = await session.api.get<{ claimKeys: ClaimKeyAnswer[] }>('/v1/claim-keys')
  session.result(answer, () => {
    if (answer.claimKeys.length === 0) return 'No provisioning keys. Create one: ./sluice claim-keys add demo --uses 10'
    const rows = answer.claimKeys.map((it) => [it.id, it.tenant, `${it.uses}/${it.maxUses}`, it.expiresAt ?? 'never'])
    return textTable(['id', 'tenant', 'used', 'ends'], rows)
  })
}

async function revokeKey(session: Session, id: string): Promise<void> {
  await session.api.delete(`/v1/claim-keys/${encodeURIComponent(id)}`)
  session.result({ revoked: id }, () => `Revoked ${id}; devices that used it stay.`)
}
