/** Undefined leaves what is said. */
export type FactChange<T> = (
  said: string | undefined,
  nowMs: number,
) => { readonly say?: string | undefined; readonly result: T }

/**
 * Said when a registry was put back to an earlier state: names that it does not know may be uids all the same, so none is
 * given out as one any more.
 */
export const RANDOM_UIDS = 'random_uids'

/**
 * What the processes of an installation agree on, as texts by name. Names have at most 64 characters, values some that fit
 * into one statement. Everything is durable when it resolves. Errors as of `Registry`.
 */
export interface Facts {
  /** Undefined when nobody has said it yet. */
  get(name: string): Promise<string | undefined>
  /** Says it unless it is said already; resolves with what is said then. */
  keep(name: string, value: string): Promise<string>
  /** In place of what was said before. */
  put(name: string, value: string): Promise<void>
  /**
   * Shows what is said, and the time of the registry in ms since 1970, and says what `change` returns, which is not empty,
   * with nobody else in between. `change` may be called again.
   */
  change<T>(name: string, change: FactChange<T>): Promise<T>
}
