import Type, { type Static } from 'typebox'
import { SluiceError } from '../../shared/errors.ts'
import type { KnownSeries } from '../../shared/points/port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { late, shown, shownOf } from './shown-fields.ts'

/** Fields in one answer: what a device may have at most is far more than anybody reads at once. */
export const MAX_FIELDS_LISTED = 1000

export const StreamsView = Type.Array(
  Type.Object({
    stream: Type.String(),
    fields: Type.Array(
      Type.Object({
        field: Type.String(),
        type: Type.Enum(['float', 'integer', 'boolean', 'string']),
        ...shown,
        ...late,
      }),
    ),
  }),
)

export interface FieldPage {
  readonly streams: Static<typeof StreamsView>
  /** Cursor of the next page; null at the end. */
  readonly next: string | null
}

/** A part of the series of a device of the tenant, in the order of the store, behind `cursor`. Error: `cursor_invalid`. */
export function pageOfFields(
  { registry, tenant }: { readonly registry: Pick<Registry, 'declaredTypes'>; readonly tenant: string },
  series: readonly KnownSeries[],
  limit: number,
  cursor?: string,
): FieldPage {
  const from = cursor === undefined ? 0 : placeBehind(series, cursor)
  const streams = new Map<string, FieldPage['streams'][number]>()
  for (const { stream, field, type } of series.slice(from, from + limit)) {
    const entry = streams.get(stream) ?? { stream, fields: [] }
    entry.fields.push({ field, type, ...shownOf(registry, { tenant, stream, field }) })
    streams.set(stream, entry)
  }
  const last = from + limit < series.length ? series[from + limit - 1] : undefined
  return { streams: [...streams.values()], next: last === undefined ? null : cursorOf(last) }
}

function cursorOf({ stream, field, type }: KnownSeries): string {
  return Buffer.from(JSON.stringify([stream, field, type])).toString('base64url')
}

/** Series are never taken away from the middle but with their device's points: then the list begins anew for whoever asks. */
function placeBehind(series: readonly KnownSeries[], cursor: string): number {
  const at = series.findIndex((one) => cursorOf(one) === cursor)
  if (at < 0) throw new SluiceError('cursor_invalid', 'The cursor does not belong to this list.')
  return at + 1
}
