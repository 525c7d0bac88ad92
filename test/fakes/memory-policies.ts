import type { Watches } from '../../shared/registry/watches-port.ts'
import { SluiceError } from '../../shared/errors.ts'
import { idOf, type PolicyDocument } from '../../shared/policies/document.ts'
import { formatRevision } from '../../shared/policies/revision.ts'
import { afterFiles, afterSet, type Layered } from '../../shared/policies/sources.ts'
import { SAME_NAMES } from '../../shared/registry/names-port.ts'
import type { Policies, PolicyRevision } from '../../shared/registry/policies-port.ts'

/** Policies in memory. */
export class MemoryPolicies implements Policies {
  readonly #rows: PolicyRevision[] = []
  epoch = 0

  revisionOf(tenant: string): string | undefined {
    return formatRevision(this.#newest(tenant)?.id ?? '', this.#newest(undefined)?.id ?? '')
  }

  async known(): Promise<void> {}

  async read(scope: string | undefined): Promise<PolicyRevision | undefined> {
    return this.#newest(scope)
  }

  async list(): Promise<readonly PolicyRevision[]> {
    const scopes = [...new Set(this.#rows.map(({ scope }) => scope))]
    return scopes.flatMap((scope) => this.#newest(scope) ?? [])
  }

  async history(scope: string | undefined, limit: number): Promise<readonly PolicyRevision[]> {
    return this.#rows
      .filter((row) => row.scope === scope)
      .reverse()
      .slice(0, limit)
  }

  async put({ scope, document, from, who }: Parameters<Policies['put']>[0]): Promise<PolicyRevision> {
    const newest = this.#newest(scope)
    if ((newest?.revision ?? 0) !== from) throw new SluiceError('policy_changed', 'not the one in force')
    return this.#add(scope, afterSet(newest, document, scope, who), who)
  }

  async overlay({ scope, overlay, who }: Parameters<Policies['overlay']>[0]): Promise<PolicyRevision | undefined> {
    const made = afterFiles(this.#newest(scope), overlay, scope)
    return made === undefined ? undefined : this.#add(scope, made, who)
  }

  #add(scope: string | undefined, made: Layered, who: string): PolicyRevision {
    const revision = (this.#newest(scope)?.revision ?? 0) + 1
    const row = { scope, revision, id: idOf(made.document), ...made, atMs: Date.now(), who }
    this.#rows.push(row)
    this.epoch += 1
    return row
  }

  async find(ids: readonly string[]): Promise<ReadonlyMap<string, PolicyDocument>> {
    return new Map(this.#rows.filter(({ id }) => ids.includes(id)).map(({ id, document }) => [id, document]))
  }

  #newest(scope: string | undefined): PolicyRevision | undefined {
    return this.#rows.findLast((row) => row.scope === scope)
  }
}

/** No device is under watch. */
export const NO_WATCHES: Watches = { epoch: 0, untilMs: () => 0, list: () => [], put: async () => undefined }

/** Devices are stored under their names, and nobody has set a policy. */
export const SAME_REGISTRY = { names: SAME_NAMES, policies: new MemoryPolicies(), watches: NO_WATCHES }
