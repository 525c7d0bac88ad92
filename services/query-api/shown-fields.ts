import Type from 'typebox'
import type { FieldValue, Registry } from '../../shared/registry/port.ts'
import { meaningOf, type DeclaredField } from '../../shared/registry/types-port.ts'
import { formatInstant } from '../../shared/telemetry.ts'
import { outsideOf } from '../../shared/types/meaning.ts'

/** So many of the declared intervals may pass until a field is called silent: one reading may be late. */
const SILENT_INTERVALS = 2

/** What is declared of a field for people to see, in answers. */
export const shown = {
  unit: Type.Optional(Type.String({ description: 'As it was declared.' })),
  name: Type.Optional(Type.String({ description: 'As it was declared.' })),
}

/** Whether a field comes as often as it was declared. */
export const late = {
  interval: Type.Optional(Type.Number({ description: 'Seconds from one reading with it to the next, as declared.' })),
  silentSince: Type.Optional(
    Type.String({
      format: 'date-time',
      description: 'The time of its newest value, where that is more than two of the declared intervals ago.',
    }),
  ),
}

type Declared = Pick<Registry, 'declaredTypes'>

export function shownOf({ declaredTypes }: Declared, field: DeclaredField): { unit?: string; name?: string } {
  const { unit, name } = meaningOf(declaredTypes, field) ?? {}
  return { ...(unit === undefined ? {} : { unit }), ...(name === undefined ? {} : { name }) }
}

/** What of the newest value of a field is not as it is declared now. */
export function asDeclared(
  { declaredTypes }: Declared,
  field: DeclaredField,
  { value, time }: FieldValue,
): { outside?: string; silentSince?: string } {
  const meaning = meaningOf(declaredTypes, field)
  if (meaning === undefined) return {}
  const outside = outsideOf(meaning, value)
  const { interval } = meaning
  const isSilent = interval !== undefined && Date.now() - time.ms > SILENT_INTERVALS * interval * 1000
  return {
    ...(outside === undefined ? {} : { outside }),
    ...(isSilent ? { silentSince: formatInstant(time) } : {}),
  }
}
