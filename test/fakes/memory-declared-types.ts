import type {
  DeclaredField,
  DeclaredType,
  DeclaredTypes,
  NumberType,
  TypeChange,
} from '../../shared/registry/types-port.ts'

/** Declared types in memory, each from the moment on that is given. */
export class MemoryDeclaredTypes implements DeclaredTypes {
  readonly #fields = new Map<string, DeclaredType & { readonly changes: TypeChange[] }>()
  sinceMs = 0
  epoch = 0

  of(field: DeclaredField): readonly TypeChange[] {
    return this.#fields.get(keyOf(field))?.changes ?? []
  }

  async known(): Promise<void> {}

  async list(tenant?: string): Promise<readonly DeclaredType[]> {
    return [...this.#fields.values()].filter((one) => tenant === undefined || one.tenant === tenant)
  }

  async declare(field: DeclaredField, type: NumberType, who: string): Promise<TypeChange> {
    const change = { sinceMs: this.sinceMs, type, who, atMs: Date.now() }
    const key = keyOf(field)
    const known = this.#fields.get(key) ?? { ...field, changes: [] }
    known.changes.push(change)
    this.#fields.set(key, known)
    this.epoch += 1
    return change
  }
}

function keyOf({ tenant, stream, field }: DeclaredField): string {
  return JSON.stringify([tenant, stream, field])
}
