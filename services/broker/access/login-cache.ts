import { LruMap } from '../../../shared/lru.ts'
import { TOKEN_PREFIX } from '../../../shared/registry/credentials.ts'
import type { Principal, Registry } from '../../../shared/registry/port.ts'

/** A fleet that reconnects after an outage comes back within this time; what changed is dropped at once all the same. */
const VERIFIED_MS = 30_000
/** So much longer a login that was good counts while the registry does not answer. */
const STALE_MS = 3_600_000
/** About 300 bytes each: 6 MB. More devices than this only cost the registry a look-up each. */
const MAX_VERIFIED = 20_000
/** A client that retries in a loop costs the registry one look-up in this time; a change of its login forgets it. */
const REJECTED_MS = 30_000
const MAX_REJECTED = 2_000
/** Changes remembered by name; beyond this everything counts as changed. */
const MAX_CHANGES = 10_000

interface Verified {
  readonly principal: Principal
  readonly atMs: number
  /** Number of changes that were known when this was verified. */
  readonly changes: number
}

/**
 * Logins that were tried lately, in the memory of this process only, and none that changed since: what the registry
 * tells of a name counts at once.
 */
export class LoginCache {
  readonly #verified = new LruMap<string, Verified>(MAX_VERIFIED)
  readonly #rejected = new LruMap<string, { readonly atMs: number; readonly changes: number }>(MAX_REJECTED)
  readonly #unsubscribe: () => void
  /** Which change of a name was its last, by number; names that are missing changed before `#floor`. */
  readonly #changed = new Map<string, number>()
  #changes = 0
  #floor = 0

  constructor(registry: Pick<Registry, 'onChange'>) {
    this.#unsubscribe = registry.onChange((name) => this.#noteChange(name))
  }

  get size(): number {
    return this.#verified.size
  }

  /** Grows with every change. */
  get changes(): number {
    return this.#changes
  }

  changedSince(name: string, changes: number): boolean {
    return (this.#changed.get(name) ?? this.#floor) > changes
  }

  /** Who this was. One that is not fresh counts only while the registry does not answer. */
  get(key: string): { readonly principal: Principal; readonly isFresh: boolean } | undefined {
    const known = this.#verified.get(key)
    if (known === undefined) return undefined
    const age = performance.now() - known.atMs
    if (age < VERIFIED_MS + STALE_MS && !this.changedSince(known.principal.name, known.changes)) {
      return { principal: known.principal, isFresh: age < VERIFIED_MS }
    }
    this.#verified.delete(key)
    return undefined
  }

  /** `changes` is the number before the registry was asked. */
  keep(key: string, principal: Principal, changes: number): void {
    this.#verified.set(key, { principal, changes, atMs: performance.now() })
  }

  /** Whether it failed lately and nothing happened since that could make it good. */
  isRejected(key: string, username: string): boolean {
    const known = this.#rejected.get(key)
    if (known === undefined || performance.now() - known.atMs >= REJECTED_MS) return false
    // A token does not tell whose it is.
    if (username.startsWith(TOKEN_PREFIX)) return known.changes === this.#changes
    return !this.changedSince(username, known.changes)
  }

  reject(key: string, changes: number): void {
    this.#verified.delete(key)
    this.#rejected.set(key, { changes, atMs: performance.now() })
  }

  close(): void {
    this.#unsubscribe()
    this.#verified.clear()
    this.#rejected.clear()
  }

  #noteChange(name: string): void {
    this.#changes += 1
    this.#changed.set(name, this.#changes)
    if (this.#changed.size <= MAX_CHANGES) return
    this.#changed.clear()
    this.#floor = this.#changes
  }
}
