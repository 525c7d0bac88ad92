import type { Device } from '../../shared/registry/port.ts'
import { meaningOf } from '../../shared/registry/types-port.ts'
import { kindOf } from '../../shared/telemetry.ts'
import type { ApiParts } from './api.ts'
import type { FieldPage } from './field-pages.ts'
import { latestStates } from './latest.ts'
import { asDeclared } from './shown-fields.ts'

/** Says of fields how often they are to come, and since when they are silent; asks for nothing where nothing was declared. */
export async function addSilence(
  parts: ApiParts<'registry' | 'points' | 'cache'>,
  { tenant, uid }: Device,
  streams: FieldPage['streams'],
): Promise<void> {
  const { declaredTypes } = parts.registry
  const expected = streams.flatMap(({ stream, fields }) =>
    fields.flatMap((field) => {
      const interval = meaningOf(declaredTypes, { tenant, stream, field: field.field })?.interval
      return interval === undefined ? [] : [{ stream, field, interval }]
    }),
  )
  if (expected.length === 0) return
  const { states } = await latestStates(parts, tenant, uid)
  for (const { stream, field, interval } of expected) {
    field.interval = interval
    const newest = states.find((state) => state.stream === stream)?.fields[field.field]
    if (newest === undefined || kindOf(newest.type) !== kindOf(field.type)) continue
    const { silentSince } = asDeclared(parts.registry, { tenant, stream, field: field.field }, newest)
    if (silentSince !== undefined) field.silentSince = silentSince
  }
}
