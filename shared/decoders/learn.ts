import type { FindDocuments } from '../policies/policy-table.ts'
import { REVISION_HEADER } from '../policies/revision.ts'
import type { LogRecord } from '../telemetry.ts'
import type { SeriesTable } from './decode.ts'
import { isUploadedName } from './decoder-names.ts'
import type { DecodeContext, FindDefinitions } from './payload-decoder.ts'

/** Who knows what records are decoded by. */
export interface DecodedBy {
  readonly policies: { readonly find: FindDocuments }
  readonly decoders: { readonly find: FindDefinitions }
}

/**
 * Learns what these records are decoded by, and makes ready what decodes them: to be called before `decodeRecords`. Where no
 * policy names a decoder that was uploaded it costs nothing. Errors: `policy_unknown`, and those of the registry.
 */
export async function learn(
  table: SeriesTable,
  records: readonly LogRecord[],
  { policies, decoders }: DecodedBy,
): Promise<void> {
  for (;;) {
    await table.policies.learn(records, (ids) => policies.find(ids))
    if (!table.policies.namesUploaded) return
    await table.uploaded?.prepare?.(byUploaded(records, table), (ids) => decoders.find(ids))
    // Others who learnt meanwhile may have made room for theirs.
    if (table.policies.missing(records).length === 0) return
  }
}

function byUploaded(records: readonly LogRecord[], table: SeriesTable): DecodeContext[] {
  return records.flatMap((record) => {
    const { headers } = record
    if (headers?.[REVISION_HEADER] === undefined || headers['form'] !== undefined) return []
    const series = table.streamOf(record)
    if (typeof series === 'string') return []
    const { stream } = series
    const policy = table.policies.of(record, stream)
    return isUploadedName(policy.decoder) ? [{ record, stream, policy }] : []
  })
}
