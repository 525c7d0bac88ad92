import type { RegistryTables } from '../../../shared/registry/tables-port.ts'
import type { FieldType, Series } from '../../../shared/telemetry.ts'
import { fieldKey } from '../../../shared/topics.ts'
import { persist } from './retry.ts'

/** Fields kept; beyond it all are forgotten and asked for again. About 10 MB. */
const MAX_FIELDS = 100_000

/** Which type has a field's own name in the target, as its registry says and as its workers will write. */
export class PlainTypes {
  readonly #tables: Pick<RegistryTables, 'find'>
  readonly #signal: AbortSignal
  #known = new Map<string, FieldType | undefined>()

  constructor(tables: Pick<RegistryTables, 'find'>, signal: AbortSignal) {
    this.#tables = tables
    this.#signal = signal
  }

  /** Asks for the fields of a stream that are not known yet; the function tells what a series of a field adds. */
  async of(names: {
    readonly tenant: string
    readonly stream: string
    readonly fields: ReadonlySet<string>
  }): Promise<(field: string) => Pick<Series, 'plain'>> {
    const { tenant, stream, fields } = names
    if (this.#known.size > MAX_FIELDS) this.#known = new Map()
    const known = this.#known
    const keyOf = (field: string) => fieldKey({ tenant, stream, field })
    const asked = [...fields].filter((field) => !known.has(keyOf(field)))
    if (asked.length > 0) {
      const keys = asked.map((field) => ({ tenant, stream, field }))
      const rows = await persist(() => this.#tables.find('field_types', keys), this.#signal)
      // The column holds nothing else.
      for (const [i, field] of asked.entries()) known.set(keyOf(field), rows[i]?.['type'] as FieldType | undefined)
    }
    return (field) => {
      const plain = known.get(keyOf(field))
      return plain === undefined ? {} : { plain }
    }
  }
}
