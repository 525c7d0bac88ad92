import type {
  DeclaredField,
  DeclaredType,
  DeclaredTypes,
  FieldContract,
  TypeChange,
} from '../../shared/registry/types-port.ts'
import { afterChange, afterContracts, type Declaration } from '../../shared/types/declaration.ts'
import type { MeaningChange } from '../../shared/types/meaning.ts'

const NOTHING: Declaration = { meaning: {}, sources: { set: {}, files: {}, by: {} } }

/** Declared types in memory, each from the moment on that is given. */
export class MemoryDeclaredTypes implements DeclaredTypes {
  readonly #fields = new Map<string, DeclaredType & { readonly changes: TypeChange[] }>()
  sinceMs = 0
  epoch = 0

  of(field: DeclaredField): readonly TypeChange[] {
    return this.#fields.get(keyOf(field))?.changes ?? []
  }

  get areSomeRequired(): boolean {
    return [...this.#fields.values()].some(isRequired)
  }

  requiredIn({ tenant, stream }: Pick<DeclaredField, 'tenant' | 'stream'>): readonly DeclaredType[] {
    return [...this.#fields.values()].filter((one) => {
      return one.tenant === tenant && one.stream === stream && isRequired(one)
    })
  }

  async known(): Promise<void> {}

  async list(tenant?: string): Promise<readonly DeclaredType[]> {
    return [...this.#fields.values()].filter((one) => tenant === undefined || one.tenant === tenant)
  }

  async declare(field: DeclaredField, change: MeaningChange, who: string): Promise<TypeChange> {
    const last = this.of(field).at(-1)
    return this.#add(field, afterChange(last, change, who) ?? last ?? NOTHING, who)
  }

  async overlay(contracts: readonly FieldContract[]): Promise<readonly DeclaredField[]> {
    const made = contracts.flatMap((one) => {
      const next = afterContracts(this.of(one).at(-1), one)
      return next === undefined ? [] : [{ one, next }]
    })
    for (const { one, next } of made) this.#add(one, next, 'file')
    return made.map(({ one }) => one)
  }

  #add({ tenant, stream, field }: DeclaredField, next: Declaration, who: string): TypeChange {
    const change = { ...next, sinceMs: this.sinceMs, type: next.meaning.type ?? 'float', who, atMs: Date.now() }
    const name = { tenant, stream, field }
    const known = this.#fields.get(keyOf(name)) ?? { ...name, changes: [] }
    known.changes.push(change)
    this.#fields.set(keyOf(name), known)
    this.epoch += 1
    return change
  }
}

function isRequired({ changes }: DeclaredType): boolean {
  return changes.some(({ meaning }) => meaning.required)
}

function keyOf({ tenant, stream, field }: DeclaredField): string {
  return JSON.stringify([tenant, stream, field])
}
