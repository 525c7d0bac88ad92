import type { PolicyDocument, PolicyScope } from '../policies/document.ts'
import type { Overlay, PolicySources } from '../policies/sources.ts'

/** A document as it was at one time. */
export interface PolicyRevision {
  readonly scope: PolicyScope
  /** 1 for the first of its scope, and one more each time. */
  readonly revision: number
  /** See `idOf`. */
  readonly id: string
  readonly document: PolicyDocument
  /** Undefined for revisions of before it was noted: people set all of them. */
  readonly sources: PolicySources | undefined
  readonly atMs: number
  readonly who: string
}

/** The policies in force, and all that ever were: revisions are kept for good. Errors as of `Registry`. */
export interface Policies {
  /** Grows whenever what {@link revisionOf} answers may have changed. */
  readonly epoch: number
  /**
   * What records of the tenant are stamped with, see `formatRevision`, as far as this process knows: what others change
   * within about a second. While the registry does not answer it is what was known last.
   */
  revisionOf(tenant: string): string | undefined
  /** Resolves when the changes of this process are known to it, or could not be read. */
  known(): Promise<void>
  /** In force; undefined where nothing was ever set. */
  read(scope: PolicyScope): Promise<PolicyRevision | undefined>
  /** Of all scopes those in force: the default first, then by tenant. */
  list(): Promise<readonly PolicyRevision[]>
  /** The newest first; `limit` 1 to 1,000. */
  history(scope: PolicyScope, limit: number): Promise<readonly PolicyRevision[]>
  /**
   * Puts the document in force, durable when it resolves. `from`: the revision that it was made of, 0 for none.
   * Errors: `policy_changed` when that is not the one in force, `policy_in_file` where it says otherwise than a file,
   * `name_invalid`, `disk_full`.
   */
  put(change: {
    readonly scope: PolicyScope
    readonly document: PolicyDocument
    readonly from: number
    readonly who: string
  }): Promise<PolicyRevision>
  /**
   * Lays what files say over what people set, in the place of what files said before; with an empty document it is taken
   * off. The revision, or undefined where nothing changes. Errors: `policy_changed` when another process was first;
   * `policy_invalid`, `name_invalid`, `disk_full`.
   */
  overlay(change: {
    readonly scope: PolicyScope
    readonly overlay: Overlay
    readonly who: string
  }): Promise<PolicyRevision | undefined>
  /** By their ids, whosever they are or were; those that the registry does not know are not in the answer. */
  find(ids: readonly string[]): Promise<ReadonlyMap<string, PolicyDocument>>
}
