import { canPublishEverything, everythingOf, tenantsOf } from '../../../shared/acl-tenants.ts'
import { SluiceError } from '../../../shared/errors.ts'
import { isName } from '../../../shared/names.ts'
import type { Principal } from '../../../shared/registry/port.ts'

/** What a request says of where it writes to, in the words of either version. */
export interface Asked {
  readonly db?: string | undefined
  readonly bucket?: string | undefined
  readonly org?: string | undefined
}

/**
 * The tenant that a login writes to: its own, or the one in which it may publish everything. Where that are several, the database,
 * bucket or organisation that the request names chooses among them, and otherwise nothing. Errors: `not_authorised`, `bad_request`.
 */
export function tenantOf(principal: Principal, { db, bucket, org }: Asked): string {
  const tenants = tenantsOf(principal)
  const [only] = tenants
  if (only !== undefined && tenants.length === 1) return only
  // A database may stand before a retention policy.
  const asked = [db, bucket, org].flatMap((name) => (name === undefined ? [] : [name, name.split('/', 1)[0] ?? '']))
  const chosen = asked.find((name) => isName(name) && canPublishEverything(principal, name))
  if (chosen !== undefined) return chosen
  if (only !== undefined) {
    throw new SluiceError('bad_request', `name one of the tenants ${tenants.join(', ')} as database or bucket`)
  }
  const rule = everythingOf(asked.find(isName) ?? 'TENANT')
  throw new SluiceError(
    'not_authorised',
    `"${principal.name}" may not publish all of ${rule}, as it must where the devices stand in the lines`,
  )
}
