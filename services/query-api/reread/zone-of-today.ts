import type { DecodedBy } from '../../../shared/decoders/learn.ts'
import { idOf, type PolicyDocument } from '../../../shared/policies/document.ts'
import { formatRevision, parseRevision } from '../../../shared/policies/revision.ts'
import type { Registry } from '../../../shared/registry/port.ts'

/** Readings whose local times are read anew. */
export interface RereadSpec {
  readonly tenant: string
  /** All streams by default, each by a zone of its own where it has one. */
  readonly stream?: string
  /** IANA name; what the policies say by default. */
  readonly zone?: string
}

/** What records are decoded by: today's policies of the tenant, with the zone; and who knows of those. */
export interface ZoneOfToday {
  readonly rv: string | undefined
  readonly known: DecodedBy
}

/** Errors: those of the registry. */
export async function zoneOfToday(
  registry: Pick<Registry, 'decoders' | 'policies'>,
  { tenant, stream, zone }: RereadSpec,
): Promise<ZoneOfToday> {
  const { policies, decoders } = registry
  await policies.known()
  const rv = policies.revisionOf(tenant)
  if (zone === undefined) return { rv, known: { policies, decoders } }
  const ids = parseRevision(rv ?? '')
  const found = await policies.find([ids.tenant, ids.fallback].filter((id) => id !== ''))
  const document = withZone(found.get(ids.tenant) ?? {}, stream, zone)
  const id = idOf(document)
  const find: DecodedBy['policies']['find'] = async (asked) => {
    const known = await policies.find(asked.filter((one) => one !== id))
    return asked.includes(id) ? new Map([...known, [id, document]]) : known
  }
  return { rv: formatRevision(id, ids.fallback), known: { policies: { find }, decoders } }
}

function withZone(document: PolicyDocument, stream: string | undefined, zone: string): PolicyDocument {
  if (stream === undefined) return { ...document, time_zone: zone }
  const own = document.streams?.[stream] ?? {}
  return { ...document, streams: { ...document.streams, [stream]: { ...own, time_zone: zone } } }
}
