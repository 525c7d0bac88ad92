import {
  idOfDefinition,
  sha256Of,
  type DecoderDefinition,
  type DecoderRevision,
  type Decoders,
} from '../../shared/registry/decoders-port.ts'

/** Uploaded decoders in memory; policies name them by `codec:{name}@{id}` here. */
export class MemoryDecoders implements Decoders {
  readonly #rows: (DecoderRevision & { readonly definition: DecoderDefinition })[] = []
  readonly #listeners = new Set<() => void>()

  async put({ scope, name, definition, who }: Parameters<Decoders['put']>[0]): Promise<DecoderRevision> {
    const { kind, content, options } = definition
    const id = idOfDefinition(definition)
    const revision = this.#rows.filter((row) => row.name === name).length + 1
    const own = { id, kind, options, bytes: content.length, sha256: sha256Of(content), atMs: Date.now(), who }
    const row = { scope, name, revision, ...own, definition }
    this.#rows.push(row)
    for (const listener of this.#listeners) listener()
    return row
  }

  async remove(): Promise<void> {}

  async read(scope: string | undefined, name: string): Promise<(DecoderRevision & { content: string }) | undefined> {
    const row = this.#rows.findLast((one) => one.scope === scope && one.name === name)
    return row === undefined ? undefined : { ...row, content: row.definition.content }
  }

  async list(): Promise<readonly DecoderRevision[]> {
    return this.#rows
  }

  async find(ids: readonly string[]): Promise<ReadonlyMap<string, DecoderDefinition>> {
    return new Map(this.#rows.filter(({ id }) => ids.includes(id)).map(({ id, definition }) => [id, definition]))
  }

  onPut(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
