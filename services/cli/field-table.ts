import { textTable } from '../../shared/text-table.ts'

/** A stream of a device and its fields, as the API shows them. */
export interface StreamAnswer {
  readonly stream: string
  readonly fields: readonly {
    readonly field: string
    readonly type: string
    readonly unit?: string
    readonly name?: string
    readonly interval?: number
    readonly silentSince?: string
  }[]
}

/** Fields with their types; what was declared has columns where something was. */
export function fieldTable(streams: readonly StreamAnswer[]): string {
  const fields = streams.flatMap(({ stream, fields: own }) => own.map((field) => ({ stream, ...field })))
  type Field = (typeof fields)[number]
  const declared = [
    ['unit', ({ unit }: Field) => unit],
    ['name', ({ name }: Field) => name],
    ['interval', ({ interval }: Field) => (interval === undefined ? undefined : `${interval} s`)],
    ['silent since', ({ silentSince }: Field) => silentSince],
  ] as const
  const columns = declared.filter(([, of]) => fields.some((field) => of(field) !== undefined))
  const rows = fields.map((field) => [
    field.stream,
    field.field,
    field.type,
    ...columns.map(([, of]) => of(field) ?? ''),
  ])
  return textTable(['stream', 'field', 'type', ...columns.map(([name]) => name)], rows)
}
